"""Invented maps and predictions of a whole study, small enough to be stored, and its tables.

``python tests/stored/make.py`` draws the stored study anew. It need not draw the same on every
machine: what it drew is stored, and only that is read by the test. ``--expected`` leaves it alone
and writes the tables and verdicts that the notebooks make of it, after a change of results; large
ones are compressed (``xzcat`` shows them).
"""

import argparse
import lzma
import shutil
import sys
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent.parent))  # as pytest does
import stored_material as stored

from lib.study.artefacts import write_json, write_table, write_text
from lib.study.names import CONTROLS
from lib.study.paths import StudyPaths

LEVELS = 31
"""Maps are stored in so many steps: equal values are then equal wherever they are compared."""
LARGE = 20_000
"""Characters from which on a table is stored compressed."""
FILMS = {"normal": (4, 2, 3), "tuberculosis": (4, 3, 3), "covid19": (20, 10, 3)}
"""Test films, their patients and validation films of each class."""
SIDES = {"densenet201": 7, "resnet50v2": 7, "inceptionv3": 8}
"""Cells across at `stage4`; fewer than in truth, because the earth mover's distance is slow."""
SHARED = {"transfer": (1.0, 0.0), "placebo": (1.0, 0.08), "finetune": (0.55, 0.4),
          "corrected": (0.3, 0.5), "randomised": (0.0, 1.0)}  # fmt: skip
"""Of the texture of a map: what it has of the transfer checkpoint's, and what is its seed's own."""
EVIDENCE = {"transfer": (0.4, 1.0), "placebo": (0.4, 1.0), "finetune": (0.7, 0.7),
            "corrected": (1.8, 0.1), "randomised": (0.0, 0.0)}  # fmt: skip
"""How much of a map lies on the lesion and on the marker, beside the middle of the film."""
NOISE = {"layercam": 0.0, "gradcam_plus_plus": 0.3, "gradcam": 0.5}
"""How far a method strays from LayerCAM."""
SHARED_BY = {"inceptionv3": {"finetune": (0.9, 0.3)}}
"""Where an architecture differs: here evidence moves little, and centroids hardly."""
EVIDENCE_OF = {"inceptionv3": {"finetune": (0.4, 1.0)}, "resnet50v2": {"corrected": (0.9, 0.5)}}
"""Likewise: an architecture that hardly moves, and one that finds the lesion only in part."""
WRONG = {"transfer": 0.03, "placebo": 0.03, "finetune": 0.02, "corrected": 0.02}
"""How often an unlucky film is misread; the others never are."""


def films(random: np.random.Generator) -> pd.DataFrame:
    """A row per film: names, split, and boxes in thousandths of the film's sides."""
    rows = []
    for label, (test, patients, validation) in FILMS.items():
        for number in range(test + validation):
            patient = number % patients if number < test else number
            left, top = random.integers([180, 250], [700, 650])
            width, height = random.integers(120, 260, 2)
            corner = int(random.integers(2))
            lesion = (left, top, left + width, top + height) if label != "normal" else (0,) * 4
            marker = (60 + 800 * corner, 60, 140 + 800 * corner, 150)
            rows.append(
                [f"{label}-{number:02d}", label, f"{label}-p{patient:02d}",
                 "test" if number < test else "validation",
                 *lesion, *(marker if label == "covid19" else (0,) * 4)]
            )  # fmt: skip
    columns = ["image_id", "label", "patient_id", "split", *stored.LESION, *stored.MARKER]
    return pd.DataFrame(rows, columns=columns)


def bump(boxes: np.ndarray, side: int, width: float) -> np.ndarray:
    """Gaussian around the middle of each box, of height 1; nothing where there is no box."""
    centres = (np.arange(side) + 0.5) / side
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2000
    across, down = (
        np.exp(-((centres - middle[:, [axis]]) ** 2) / (2 * width**2)) for axis in range(2)
    )
    return down[:, :, None] * across[:, None, :] * boxes.any(axis=1)[:, None, None]


def texture(random: np.random.Generator, count: int, side: int) -> np.ndarray:
    return random.normal(size=(count, side, side))


def draw_maps(table: pd.DataFrame, architecture: str, random: np.random.Generator):
    """Maps of all checkpoints in steps, by cell: the first, and of the others the difference."""
    test = table[table["split"] == "test"]
    lesion, marker = (test[list(names)].to_numpy() for names in (stored.LESION, stored.MARKER))
    checkpoints = [c for c in stored.params().map_sets if not c.startswith(CONTROLS[0])]
    own_shares = SHARED | SHARED_BY.get(architecture, {})
    evidence = EVIDENCE | EVIDENCE_OF.get(architecture, {})
    arrays = {}
    for role in stored.params().attribution.roles:
        side = SIDES[architecture] if role == "stage4" else 5
        film = texture(random, len(test), side)
        modes = {mode: texture(random, len(test), side) for mode in SHARED}
        methods = {key: texture(random, len(test), side) for key in product(NOISE, SHARED)}
        middle = bump(np.array([[0, 0, 1000, 1000]] * len(test)), side, 0.27)
        for checkpoint in checkpoints:
            mode = checkpoint.rpartition("-s")[0]
            kept, own = (0.6, 0.8) if checkpoint == "transfer-s1" else own_shares[mode]
            common = np.sqrt(max(0, 1 - kept**2 - own**2))
            seen = kept * film + common * modes[mode] + own * texture(random, len(test), side)
            on_lesion, on_marker = evidence[mode]
            place = middle + on_lesion * bump(lesion, side, 0.12)
            place = place + on_marker * bump(marker, side, 0.12)
            for name in stored.params().attribution.methods:
                method = name
                if role == "post_activation" and method == "gradcam_plus_plus":
                    method = "layercam"  # there it is LayerCAM up to a factor
                seen_by = methods[method, "transfer" if mode == "placebo" else mode]
                drawn = place * np.exp(0.6 * (seen + NOISE[method] * seen_by))
                steps = in_steps(drawn, method, role, architecture, random)
                arrays.setdefault(f"{role}/{name}", []).append(steps)
    return {name: differences(np.stack(found)) for name, found in arrays.items()}


def in_steps(drawn, method, role, architecture, random) -> np.ndarray:
    """Negative parts cut off, some maps left blank, the rest in `LEVELS` steps."""
    cut = {"layercam": 0.10, "gradcam_plus_plus": 0.15, "gradcam": 0.35}[method]
    top = drawn.max(axis=(1, 2), keepdims=True)
    steps = np.rint(LEVELS * np.maximum(drawn / top - cut, 0) / (1 - cut)).astype(np.uint8)
    share = 0.06 * (method == "gradcam" and role in ("auto_conv", "prev_conv"))
    if (architecture, role, method) == ("densenet201", "auto_conv", "gradcam_plus_plus"):
        share = 0.3  # more than the rules allow
    blank = random.random(len(steps)) < share
    steps[blank] = 0
    if blank.any() and method == "gradcam":
        steps[np.flatnonzero(blank)[0]] = 7  # constant, which is blank too
    return steps


def differences(steps: np.ndarray) -> np.ndarray:
    """Maps of the first checkpoint, and how those of the others differ (modulo 256)."""
    return np.concatenate([steps[:1], steps[1:] - steps[:1]])


def draw_logits(table: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Logits in steps of an eighth, a row per architecture, checkpoint and film."""
    classes = list(FILMS)
    label = np.array([classes.index(name) for name in table["label"]])
    unlucky = random.random(len(table)) < 0.35
    unlucky |= (table["split"] == "validation").to_numpy()
    parts = []
    for architecture, checkpoint in product(SIDES, stored.params().checkpoints):
        mode = checkpoint.rpartition("-s")[0]
        logits = random.normal(scale=0.6, size=(len(table), len(classes)))
        told = label.copy()
        missed = unlucky & (random.random(len(table)) < 4 * WRONG[mode])
        told[missed] = (label[missed] + random.integers(1, 3, missed.sum())) % len(classes)
        sure = {"transfer": 2.2, "placebo": 2.3}.get(mode, 3.5)
        best = (logits.max(axis=1) + random.uniform(0.3, sure, len(table)))[:, None]
        np.put_along_axis(logits, told[:, None], best, axis=1)
        columns = {f"logit_{name}": np.rint(8 * logits[:, i]) / 8 for i, name in enumerate(classes)}
        facts = {"architecture": architecture, "checkpoint": checkpoint}
        parts.append(pd.DataFrame({**facts, "image_id": table["image_id"], **columns}))
    return pd.concat(parts, ignore_index=True)


def draw_histories(random: np.random.Generator) -> pd.DataFrame:
    """Learning curves in hundredths, a row per architecture, checkpoint and epoch."""
    rows = []
    for architecture, checkpoint in product(SIDES, stored.params().checkpoints):
        losses = 1.1 * 0.8 ** np.arange(4) + random.uniform(0, 0.1, 4)
        kept = int(random.integers(2, 4))
        for epoch in range(4):
            loss = losses[epoch] + (0.1 if epoch > kept else 0)
            accuracy = 0.5 + 0.1 * epoch
            rows.append(
                [architecture, checkpoint, epoch + 1, loss - 0.1, 9 * (epoch + 1), loss,
                 accuracy, accuracy, accuracy + 0.1, epoch == kept,
                 None if checkpoint.startswith("placebo") else epoch > kept]
            )  # fmt: skip
    columns = ["architecture", "checkpoint", "epoch", "train_loss", "steps", "loss", "accuracy",
               "balanced_accuracy", "macro_auc", "kept", "converged"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns).round(2)


def audit(table: pd.DataFrame) -> dict:
    """What notebook 1 would have said of these films."""
    counts = table.groupby(["label", "split"]).size()
    probe = {"balanced_accuracy": 0.45, "sd": 0.1, "chance": 1 / 3, "folds": 5, "side": 32}
    return {
        "images": {label: {k: int(n) for k, n in counts[label].items()} for label in FILMS},
        "patients": {k: int(v) for k, v in table.groupby("label")["patient_id"].nunique().items()},
        "patients_unknown": dict.fromkeys(FILMS, 0),
        "rejected": {},
        "duplicates": {"copies": 0, "across_splits": 0, "across_classes": 0, "pairs": []},
        "aspect_ratio": dict.fromkeys(FILMS, 1.0),
        "probe": probe,
        "probes": {"border": probe | {"balanced_accuracy": 0.8, "description": "the border"}},
        "sources": {},
        "findings": [{"severity": "warning", "text": "A marker betrays the class covid19."}],
    }


def draw() -> None:
    """Write what is stored."""
    random = np.random.default_rng(7)
    table = films(random)
    write_table(stored.FOLDER / "films.csv", table)
    write_table(stored.FOLDER / "logits.csv", draw_logits(table, random))
    write_table(stored.FOLDER / "histories.csv", draw_histories(random))
    write_json(stored.FOLDER / "audit.json", audit(table))
    for architecture in SIDES:
        maps = draw_maps(table, architecture, random)
        np.savez_compressed(stored.FOLDER / f"maps-{architecture}.npz", **maps)


def write_expected() -> None:
    """Write the tables and verdicts of the stored study beside it."""
    with tempfile.TemporaryDirectory() as folder:
        paths = stored.lay_out(Path(folder))
        for notebook in ("05_drift", "06_hypotheses"):
            stored.execute(paths, notebook)
        keep(paths)


def keep(paths: StudyPaths) -> None:
    """Replace what is expected by what the notebooks made."""
    stored.EXPECTED.mkdir(exist_ok=True)
    for old in stored.EXPECTED.iterdir():
        old.unlink()
    for name, table in stored.read_tables(paths.tables).items():
        text = table.to_csv(index=False, lineterminator="\n")
        if len(text) < LARGE:
            write_text(stored.EXPECTED / f"{name}.csv", text)
        else:
            content = lzma.compress(text.encode(), preset=9)
            (stored.EXPECTED / f"{name}.csv.xz").write_bytes(content)
    shutil.copyfile(paths.verdicts, stored.EXPECTED / "verdicts.json")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--expected", action="store_true", help="write the expected tables only")
    if not parser.parse_args().expected:
        draw()
    write_expected()
