"""Complete or absent: files written atomically, with a JSON manifest written last.

A manifest ``<file>.json`` beside an artefact means that it is complete. It records what made the
artefact: parameters, hashes of the inputs, code revision, package versions, device and duration.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from platform import machine, python_version, system
from typing import Any

import numpy as np
import pandas as pd

from lib.study.errors import ArtefactError
from lib.study.paths import ROOT

_written: list[Path] = []  # by this process, in order
_PACKAGES = ("tensorflow", "keras", "tf-keras-vis", "numpy", "pandas", "opencv-python-headless")


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest_path(path: Path) -> Path:
    """Path of the JSON manifest beside `path`."""
    return path.with_name(path.name + ".json")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary name in the folder of `path`; rename it to `path` on success.

    The suffix is kept, because Keras and NumPy choose the format by it. On an error nothing is
    left behind and an older `path` is untouched.
    """
    temporary = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, path)
            _written.append(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ArtefactError(
            f"{path}: could not be written ({error.strerror or error}). Nothing was left half "
            "written; free some space or check the permissions of the folder, then run again."
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, in UTF-8."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` atomically as indented JSON."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a data frame to `path` atomically as CSV, floats with six significant digits."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")


def read_table(path: Path) -> pd.DataFrame:
    """Read what `write_table` wrote; ids and names stay text ("0012", "NA", "")."""
    ids = ("image_id", "partner_id", "patient_id")
    text = dict.fromkeys((*ids, "label", "predicted", "file", "split"), "")
    try:
        # Only an empty cell is a missing number: by default a class named "NA" would be one too.
        return pd.read_csv(
            path, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=[""],
            low_memory=False,  # otherwise a long table gets the type of a column piece by piece
        ).fillna(text)  # fmt: skip
    except FileNotFoundError:
        raise ArtefactError(f"{path}: missing. Run the notebook that writes it.") from None
    except ValueError as error:
        raise ArtefactError(f"{path}: not a CSV table ({error}). Delete it and rerun.") from None


def read_array(path: Path) -> np.ndarray:
    """Memory-map an array written with ``numpy.save``, read-only; pickled objects are refused."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ArtefactError(
            f"{path}: not a readable array ({error}). Rerun the notebook that writes it."
        ) from error


def code_revision() -> str:
    """Git revision of the repository, with ``+changes`` when the work tree differs from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown (not a git checkout)"


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that determine the results."""
    return {"python": python_version()} | {name: metadata.version(name) for name in _PACKAGES}


def device() -> str:
    """Processor or accelerators that TensorFlow sees; only the processor without TensorFlow."""
    name = f"{system()} {machine()}, {os.cpu_count()} processors"
    if "tensorflow" in sys.modules:
        accelerators = sys.modules["tensorflow"].config.list_physical_devices("GPU")
        name += f", {len(accelerators)} GPU" if accelerators else ""
    return name


@dataclass
class Record:
    """What is being made, from the first moment until `complete`.

    Attributes
    ----------
    path : Path
        Main file; the manifest stands beside it.
    parameters : dict
        Settings that determine the content.
    inputs : dict of str to str
        SHA-256 of every input, by its path from the folder of `path`.
    """

    path: Path
    parameters: dict
    inputs: dict[str, str]
    started: float = field(default_factory=time.monotonic)
    before: int = field(default_factory=lambda: len(_written))

    @property
    def key(self) -> str:
        """Identity of what is being made: a hash of parameters and inputs."""
        text = json.dumps([self.parameters, self.inputs], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def written(self, folder: Path, pattern: str) -> list[Path]:
        """Files that `atomic` wrote into `folder` since this record was begun, in order of name.

        What other notebooks left in the same folder is theirs: as companions of this artefact they
        would spoil it as soon as they change. No clock is asked: it may jump.
        """
        own = {*_written[self.before :]}
        return sorted(file for file in folder.glob(pattern) if file in own)

    def complete(self, *companions: Path, **facts: Any) -> dict:
        """Write the manifest, last, and return it: from now on the artefact counts as complete.

        `companions` are further files that belong to it, `facts` JSON values worth recording.
        """
        files = {
            _relative(file, self.path): {"sha256": sha256(file), "bytes": file.stat().st_size}
            for file in (self.path, *companions)
        }
        manifest = {
            "status": "complete",
            "files": files,
            "inputs": self.inputs,
            "parameters": self.parameters,
            **facts,
            "code": code_revision(),
            "versions": versions(),
            "device": device(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self.started, 1),
        }
        write_json(manifest_path(self.path), manifest)
        return manifest


def _relative(file: Path, main: Path) -> str:
    return Path(os.path.relpath(file, main.parent)).as_posix()


def begin(path: Path, *, parameters: dict, inputs: Iterable[Path] = ()) -> Record:
    """Start making an artefact: an older manifest is withdrawn, the inputs are checked and hashed.

    Parameters
    ----------
    path : Path
        Main file.
    parameters : dict
        Settings that determine the content.
    inputs : iterable of Path
        Main files of the artefacts that it is made from.

    Raises
    ------
    ArtefactError
        If an input is missing, incomplete or changed since its manifest was written.
    """
    # By path, because maps of different architectures bear the same file name.
    hashes = {_relative(file, path): require(file) for file in inputs}
    record = Record(path, parameters, hashes)
    manifest_path(path).unlink(missing_ok=True)
    return record


def read_manifest(path: Path) -> dict:
    """Manifest of the artefact at `path`; ArtefactError if there is none, or it cannot be read."""
    manifest = manifest_path(path)
    try:
        return json.loads(manifest.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtefactError(
            f"{path}: not complete (no manifest {manifest.name} beside it). Run the notebook that "
            "writes it, or `make reproduce`."
        ) from None
    except ValueError as error:
        raise ArtefactError(f"{manifest}: not valid JSON ({error}). Delete it and rerun.") from None


def require(path: Path) -> str:
    """Check that `path` is the main file of a complete artefact; return its SHA-256.

    Of its companions presence and size are checked: hashing a large cache of films for every cell
    of the grid would cost more than the cell.

    Raises
    ------
    ArtefactError
        If a file or the manifest is missing, or a file is not the one that was recorded.
    """
    files = read_manifest(path)["files"]
    for name, recorded in files.items():
        file = path.parent / name
        if not file.exists():
            raise ArtefactError(
                f"{file}: missing although the manifest of {path.name} exists. Rerun the notebook "
                "that writes it."
            )
        if (size := file.stat().st_size) != recorded["bytes"]:
            raise ArtefactError(
                f"{file}: changed since it was completed ({size} bytes, the manifest has "
                f"{recorded['bytes']}). Delete it and rerun the notebook that writes it."
            )
    recorded = files.get(path.name, {}).get("sha256")
    if (found := sha256(path)) != recorded:
        raise ArtefactError(
            f"{path}: changed since it was completed (SHA-256 {found[:12]}…, the manifest has "
            f"{str(recorded)[:12]}…). Delete it and rerun the notebook that writes it."
        )
    return found
