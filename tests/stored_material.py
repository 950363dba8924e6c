"""The stored study as the results folder of one, what follows the maps, and exact comparison."""

import json
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from lib.attribution import marker
from lib.attribution.maps import MapSet
from lib.attribution.perturbed import CHANGES
from lib.drift.metrics import METRICS
from lib.models.performance import logits_of, prediction_table
from lib.study.artefacts import begin, read_table, write_table
from lib.study.load import settings, validate
from lib.study.names import CONTROLS, sources_of
from lib.study.params import Params
from lib.study.paths import ROOT, StudyPaths

STUDY = "shortcut"
"""Notebooks take a study by name; every parameter that they read is passed and not that of its
file."""
NOTEBOOKS = {"05_drift": "drift", "06_hypotheses": "hypotheses", "07_report": "report"}
"""What follows the maps, and the stage whose parameters each reads."""
FOLDER = Path(__file__).parent / "stored"
EXPECTED = FOLDER / "expected"
LESION, MARKER = (
    tuple(f"{part}_{edge}" for edge in ("left", "top", "right", "bottom"))
    for part in ("lesion", "marker")
)
LUNGS = ((150, 200, 450, 800), (550, 200, 850, 800))
STANDS_IN = {"perturbed": "placebo", "head_only": "placebo", "features_only": "corrected",
             "restarted": "corrected"}  # fmt: skip
"""The training whose maps a control of a fine-tuning has; and whose answers, if it is one."""
SCALES = {"layercam": 1 / 32, "gradcam_plus_plus": 3 / 8, "gradcam": 2}
"""Raw maps of a method have a scale of their own, which no result may depend on."""


def params() -> Params:
    """Parameters of the stored study."""
    text = (FOLDER / "params.yml").read_text(encoding="utf-8")
    return validate(yaml.safe_load(text) | {"study": STUDY}, origin="tests/stored/params.yml")


def lay_out(results: Path) -> StudyPaths:
    """Write the stored study as the artefacts that a run would have left after attribution."""
    paths, films = StudyPaths(results, STUDY), read_table(FOLDER / "films.csv")
    _lay_out_data(paths, films)
    logits, histories = (read_table(FOLDER / f"{name}.csv") for name in ("logits", "histories"))
    for architecture in params().architectures:
        of = logits[logits["architecture"] == architecture].groupby("checkpoint")
        own = histories[histories["architecture"] == architecture].groupby("checkpoint")
        told = {name: logits_of(part, classes=params().classes) for name, part in of}
        for name in params().checkpoints:
            stored = _stored(name)
            told[name] = told[stored]
            _lay_out_checkpoint(paths, architecture, name, films, told[name], own.get_group(stored))
        _lay_out_maps(paths, architecture, films, told)
    return paths


def _lay_out_data(paths: StudyPaths, films: pd.DataFrame) -> None:
    record = begin(paths.manifest, parameters={})
    manifest = films[["image_id", "label", "patient_id", "split"]].assign(
        file=films["image_id"] + ".png", patient_known=True, row=range(len(films))
    )
    write_table(paths.manifest, manifest)
    for size in params().sizes:
        lungs = np.any([_boxes(np.array([box] * len(films)), size) for box in LUNGS], axis=0)
        lesions, markers = (
            _boxes(films[list(names)].to_numpy(), size) for names in (LESION, MARKER)
        )
        np.save(paths.data / f"lungs_{size}.npy", lungs)
        np.save(paths.data / f"lesion_{size}.npy", lesions)
        np.save(paths.data / f"marker_{size}.npy", markers)
        drawn = np.where(markers, 250, np.where(lesions, 190, np.where(lungs, 60, 150)))
        np.save(paths.images(size), drawn.astype(np.uint8))
    (paths.data / "audit.json").write_bytes((FOLDER / "audit.json").read_bytes())
    record.complete()


def _stored(name: str) -> str:
    """The checkpoint, or what stands in for it."""
    kind, _, seed = name.rpartition("-s")
    return f"{STANDS_IN.get(kind, kind)}-s{seed}"


def _boxes(boxes: np.ndarray, size: int) -> np.ndarray:
    """Masks of boxes in thousandths, by whole numbers only: shape (n, size, size), bool."""
    pixels = (2 * np.arange(size) + 1) * 500  # centres, in thousandths of a pixel
    left, top, right, bottom = boxes.T[..., None] * size
    across, down = (left <= pixels) & (pixels < right), (top <= pixels) & (pixels < bottom)
    return down[:, :, None] & across[:, None, :]


def _lay_out_checkpoint(paths, architecture, name, films, logits, history) -> None:
    record = begin(paths.checkpoint(architecture, name), parameters={})
    record.path.parent.mkdir(parents=True, exist_ok=True)
    record.path.write_text("a network that nothing after its maps reads")
    predictions = prediction_table(films, logits, classes=params().classes)
    companions = paths.predictions(architecture, name), paths.history(architecture, name)
    write_table(companions[0], predictions)
    write_table(companions[1], history.drop(columns=["architecture", "checkpoint"]))
    record.complete(*companions)


def _lay_out_maps(paths, architecture, films, logits) -> None:
    test = (films["split"] == "test").to_numpy()
    label = pd.Categorical(films["label"], categories=params().classes).codes[test].astype(int)
    ids, roles = films.loc[test, "image_id"].to_numpy(str), params().attribution.roles
    with np.load(FOLDER / f"maps-{architecture}.npz") as arrays:
        steps = {tuple(cell.split("/")): arrays[cell] for cell in arrays.files}
    known = [name for name in params().checkpoints if name == _stored(name)]
    drawn = [*known, f"{CONTROLS[1]}-s0"]
    for name in params().map_sets:
        source = sources_of(name, params().base_transfer)[-1]
        kind = name.rpartition("-s")[0]
        # The same checkpoint explained again gives the same maps, and so they are stored once;
        # controls of a fine-tuning borrow those of another training.
        stands_in = _stored(name) if kind in STANDS_IN else source
        place = drawn.index(name if name in drawn else stands_in)
        maps = {
            cell: (of[0] + (of[place] if place else 0)).astype(np.float32) * SCALES[cell[1]]
            for cell, of in steps.items()
        }
        found = MapSet(
            ids, label, label, logits[source][test].astype(np.float32), maps,
            {role: f"layer of {role}" for role in roles},
        )  # fmt: skip
        record = begin(paths.maps(architecture, name), parameters={})
        found.save(record.path)
        if marker.asked(name):
            write_table(paths.marker_use(architecture, name), _to_another_marker(found, kind))
        if name in (params().base_transfer, params().followed):
            _of_changed_films(found).save(paths.perturbed(architecture, name))
        record.complete()


def _of_changed_films(maps: MapSet) -> MapSet:
    """Of every fourth film; after the n-th change it looks like the n-th film that follows."""
    films = np.arange(len(maps.image_id))[::4]
    rows = [(films + n) % len(maps.image_id) for n in range(len(CHANGES))]
    ids = np.tile(maps.image_id[films], len(CHANGES))
    return replace(maps.take(np.concatenate(rows)), image_id=ids)


def _to_another_marker(maps: MapSet, stage: str) -> pd.DataFrame:
    """Answers to every other film with another marker: a corrected network does not heed it."""
    betrayed, places = params().classes.index("covid19"), np.arange(len(maps.label))[::2]
    own = maps.label[places] == betrayed
    heeds = {"transfer": 1.0, "finetune": 0.5}.get(stage, 0.0)
    altered = maps.logits[places].copy()
    altered[:, betrayed] += heeds * np.where(own, -3, 1).astype(np.float32)
    return marker.answers(maps, places, altered, betrayed)


def execute(paths: StudyPaths, notebook: str) -> None:
    """Run a notebook of the study as the workflow does."""
    read = settings(params(), NOTEBOOKS[notebook]) | {"study": STUDY}
    arguments = {"study": STUDY, "settings": read, "results": str(paths.results)}
    command = [sys.executable, str(ROOT / "notebooks/execute.py"), notebook, "--output",
               str(paths.notebook(notebook)), "--parameters", json.dumps(arguments)]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """All tables of a folder by name, every cell as the text that it is; pairs as `digest`."""
    tables = {}
    for file in sorted([*folder.glob("*.csv"), *folder.glob("*.csv.xz")]):
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        tables[file.name.split(".")[0]] = (
            digest(table) if "partner_id" in table and len(table) else table
        )
    return tables


_OTHERS = ("lesion_gain", "partial", "partial_other", "shared", "moved")


def digest(pairs: pd.DataFrame) -> pd.DataFrame:
    """A table of pairs of maps with a row per two checkpoints, for it has ten thousands.

    Numbers by their mean (an error of 1e-4 in one of thirty shows in it) and count; the rest by the
    beginning of a hash of all rows in their order.
    """
    keys = ["architecture", "method", "role", "pairing", "before", "after"]
    metrics = [name for name in pairs if name in (*METRICS, *_OTHERS)]
    texts = [name for name in pairs if name not in (*keys, *metrics)]
    numbers = pairs[metrics].apply(pd.to_numeric).groupby([pairs[key] for key in keys], sort=False)
    text = pairs[texts].agg(",".join, axis=1).groupby([pairs[key] for key in keys], sort=False)
    table = numbers.mean().add_suffix("_mean").join(numbers.count().add_suffix("_count"))
    table["films"] = text.size()
    table["text"] = text.agg(lambda rows: sha256("\n".join(rows).encode()).hexdigest()[:12])
    return table.reset_index().map(
        lambda cell: f"{cell:.9g}" if isinstance(cell, float) else str(cell)
    )


def disagreements(found: pd.DataFrame, expected: pd.DataFrame) -> list[str]:
    """Where two tables of text differ: columns, rows, words, missing numbers or numbers.

    Numbers agree within 1e-6, or within the last of the six digits that a table is written with.
    """
    if list(found) != list(expected):
        return [f"columns {list(found)}, expected {list(expected)}"]
    if len(found) != len(expected):
        return [f"{len(found)} rows, expected {len(expected)}"]
    faults = []
    for column in expected:
        wrong = ~agree(found[column], expected[column])
        faults += [
            f"{wrong.sum()} of {len(wrong)} in {column}, first in row {row}: "
            f"{found[column][row]!r}, expected {expected[column][row]!r}"
            for row in np.flatnonzero(wrong)[:1]
        ]
    return faults


def agree(found: pd.Series, expected: pd.Series) -> np.ndarray:
    """Whether each text is the expected one, or both are numbers that agree."""
    a, b = (pd.to_numeric(column, errors="coerce").to_numpy(float) for column in (found, expected))
    with np.errstate(divide="ignore", invalid="ignore"):
        digit = 10.0 ** (np.floor(np.log10(np.abs(b))) - 5)
        near = np.abs(a - b) <= 1.001 * np.fmax(1e-6, digit)
    return (found == expected).to_numpy() | near


def json_disagreements(found, expected, where: str = "") -> list[str]:
    """The same of two JSON values; numbers in them have six digits too."""
    if isinstance(expected, dict) and isinstance(found, dict) and set(found) == set(expected):
        pairs = [(found[key], expected[key], f"{where}/{key}") for key in expected]
    elif isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        pairs = [
            (*both, f"{where}/{n}") for n, both in enumerate(zip(found, expected, strict=True))
        ]
    else:
        plain = not isinstance(expected, bool) and isinstance(expected, int | float)
        number = plain and not isinstance(found, bool) and isinstance(found, int | float)
        same = (
            agree(pd.Series([str(found)]), pd.Series([str(expected)]))[0]
            if number
            else (type(found) is type(expected) and found == expected)
        )
        return [] if same else [f"{where}: {found!r}, expected {expected!r}"]
    return [fault for pair in pairs for fault in json_disagreements(*pair)]
