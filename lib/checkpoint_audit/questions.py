"""The questions of an audit, and a folder for each, from which everything after the maps is made.

Two versions of a model that gives a film one class are one question, and its folder is that of the
audit. Every further version and every finding of a multi-label model is a question of its own, with
a folder in that of the audit. A folder has ``question.json``, films, maps, predictions and what was
opened; how the maps came about does not matter from there on.
"""

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

from lib.attribution.maps import MapSet
from lib.checkpoint_audit import labels as film_labels
from lib.evidence import faithfulness, perturbed
from lib.models.performance import prediction_table
from lib.study.artefacts import begin, write_json, write_table
from lib.study.errors import ArtefactError, DataError
from lib.study.paths import StudyPaths

_OF_AUDIT = ("data", "figures", "maps", "notebooks", "report", "tables")
_ASKED = {"faithfulness": faithfulness.table_of, "perturbed": perturbed.table_of}
CHECKPOINTS = ("before", "after")
QUESTION = "question.json"


@dataclass(frozen=True)
class Version:
    """Maps of one version of a model, all of the same rows: of films, or of films and findings.

    ``label`` is the class or finding; ``again`` and ``randomised`` are the controls, where there
    are any: made once more, and with permuted weights; ``asked`` is what a sample of the maps
    tells, see `lib.checkpoint_audit.asking`.
    """

    own: MapSet
    again: MapSet | None = None
    randomised: MapSet | None = None
    asked: Mapping[str, pd.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """One comparison of two versions.

    ``folder`` is from that of the audit, "." being that itself; ``before`` and ``after`` are files,
    ``steps`` the places of the two among the versions, from 0; ``finding`` is that of a multi-label
    model, or ""; ``classes`` are in the order of the logits, ``architecture`` is what the model is
    called; ``said`` is to be warned of, ``settings`` are the parameters that may be written.
    """

    folder: str
    before: str
    after: str
    steps: tuple[int, int]
    finding: str
    classes: tuple[str, ...]
    architecture: str
    said: tuple[str, ...]
    settings: dict

    @property
    def title(self) -> str:
        """Which versions, and of which finding."""
        of = f"{self.finding}: " if self.finding else ""
        return f"{of}{self.before} → {self.after}"

    @classmethod
    def read(cls, folder: Path) -> "Question":
        """The question of a folder."""
        told = json.loads((folder / QUESTION).read_text(encoding="utf-8"))
        return cls(**{key: tuple(v) if isinstance(v, list) else v for key, v in told.items()})


def folder_names(findings: Sequence[str]) -> list[str]:
    """A folder for every finding, of letters that any file system takes.

    Findings that differ in other letters or in case alone are told apart by the beginning of the
    SHA-256 of their names; so are those that would take a folder of the audit.
    """
    plain = [re.sub(r"[^A-Za-z0-9_.-]+", "_", finding).strip(".") for finding in findings]
    taken = Counter(name.casefold() for name in (*plain, *_OF_AUDIT, ""))
    return [
        name if taken[name.casefold()] == 1 else f"{name}-{sha256(of.encode()).hexdigest()[:8]}"
        for name, of in zip(plain, findings, strict=True)
    ]


def pairs(versions: int) -> list[tuple[int, int]]:
    """Which versions are compared: each with the one before it, and with the first."""
    steps = [(number, number + 1) for number in range(versions - 1)]
    return steps + [(0, number) for number in range(2, versions)]


def read_all(root: Path) -> list[tuple[Path, Question]]:
    """The questions of an audit with their folders; an ArtefactError if there are none yet."""
    file = root / "questions.json"
    if not file.exists():
        raise ArtefactError(f"{file}: missing. Run the audit (make audit) first.")
    listed = json.loads(file.read_text(encoding="utf-8"))["folders"]
    return [(root / name, Question.read(root / name)) for name in listed]


def ask(
    paths: StudyPaths,
    versions: Sequence[Version],
    manifest: pd.DataFrame,
    *,
    files: Sequence[str],
    classes: Sequence[str],
    architecture: str,
    settings: Mapping,
    tables: Mapping[str, pd.DataFrame],
    status: np.ndarray | None = None,
    said: Sequence[str] = (),
) -> list[Question]:
    """Write a folder for every question.

    Parameters
    ----------
    paths : StudyPaths
        Of the audit.
    versions, files : sequences of Version, of str
        The oldest first, and the names of their files.
    manifest : DataFrame
        Of the films that have maps; complete in the folder of the audit.
    classes : sequence of str
        Classes, or findings, in the order of the logits.
    architecture : str
    settings : mapping
        Parameters of the audit that may be written.
    tables : mapping of str to DataFrame
        ``checkpoints``, a row per version, and others, which every question gets as they are.
    status : ndarray of float, shape (films, findings), optional
        Of a multi-label model, as `lib.checkpoint_audit.labels.status_table`.
    said : sequence of str
        What is to be warned of.

    Raises
    ------
    DataError
        If no finding can be asked for.
    """
    asked, own_folders = [], folder_names(classes)
    for steps in pairs(len(versions)):
        before, after = (versions[step] for step in steps)
        sets = {"before": before.own, "before_again": before.again, "after": after.own,
                "randomised": before.randomised}  # fmt: skip
        sets = {name: maps for name, maps in sets.items() if maps is not None}
        logits = {name: sets[name].logits for name in CHECKPOINTS}
        told = tables["checkpoints"].iloc[list(steps)].reset_index(drop=True)
        told.insert(0, "checkpoint", CHECKPOINTS)
        of_maps = _asked([before, after], manifest, architecture)
        for number, finding in enumerate([""] if status is None else classes):
            names = [f"{step + 1}" for step in steps] if len(versions) > 2 else []
            films, own_sets, own_logits, own_classes = manifest, sets, logits, tuple(classes)
            if finding:
                names += [own_folders[number]]
                known = status[:, number]
                found = film_labels.of_finding(sets, manifest, known, number, finding)
                if found is None:
                    continue
                own_sets, own_logits, films, own_classes, thresholds = found
                told = told.assign(finding=finding, threshold=thresholds)
            question = Question(
                "-".join(names) or ".", *(files[step] for step in steps), steps, finding,
                own_classes, architecture, tuple(said), dict(settings),
            )  # fmt: skip
            own = StudyPaths(paths.root, question.folder) if names else paths
            if names:
                _link_films(own, paths, films, question, number if finding else None)
            written = {**tables, "checkpoints": told, **of_maps}
            _write(own, question, own_sets, films, own_logits, written)
            asked.append(question)
    if not asked:
        raise DataError(
            f"FINDINGS: found none of {', '.join(classes)} that some of the {len(manifest)} films "
            "have and others have not, and nothing else can be asked. Take more films (data.most, "
            "data.split=all)."
        )
    write_json(paths.root / "questions.json", {"folders": [x.folder for x in asked]})
    return asked


def _asked(two: Sequence[Version], manifest, architecture: str) -> dict[str, pd.DataFrame]:
    """The tables of what maps tell; none where the models were not asked.

    They are of all findings together: what a method is worth does not depend on the question, and
    each finding has but a few of the sample.
    """
    patients, found = manifest.set_index("image_id")["patient_id"], {}
    for name, make in _ASKED.items():
        if all(name in version.asked for version in two):
            parts = [
                version.asked[name].assign(architecture=architecture, checkpoint=checkpoint)
                for checkpoint, version in zip(CHECKPOINTS, two, strict=True)
            ]
            found[name] = make(pd.concat(parts, ignore_index=True), patients)
    return found


def _link_films(own, audit, manifest, question, finding: int | None) -> None:
    """Manifest of a question in its own folder; pixels and lesions are not there twice."""
    record = begin(own.manifest, parameters=question.settings, inputs=[audit.manifest])
    write_table(own.manifest, manifest)
    lesions = audit.data / ("" if finding is None else f"lesions-{finding}")  # as `read_films` does
    for link in own.data.glob("*.npy"):
        link.unlink()
    for file in (*audit.data.glob("images_*.npy"), *lesions.glob("lesion_*.npy")):
        link = own.data / file.name
        link.symlink_to(os.path.relpath(file, own.data))
    record.complete()


def _write(own, question, sets, manifest, logits, tables) -> None:
    """All files of a question but its films and those that are made from its maps."""
    for folder in (own.tables, own.root / "maps"):  # of an earlier run, which had other sets
        shutil.rmtree(folder, ignore_errors=True)
    write_json(own.root / QUESTION, asdict(question))
    for name, maps in sets.items():
        file = own.maps(question.architecture, name)
        record = begin(file, parameters=question.settings, inputs=[own.manifest])
        maps.save(record.path)
        record.complete(films=len(maps.image_id), layers=maps.layers)
    predictions = [
        prediction_table(manifest, logits[name], classes=question.classes).assign(
            architecture=question.architecture, checkpoint=name
        )
        for name in CHECKPOINTS
    ]
    for name, table in {**tables, "predictions": pd.concat(predictions)}.items():
        write_table(own.tables / f"{name}.csv", table)
