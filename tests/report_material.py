"""A finished study in small, with names that try to be markup and maps that are known."""

from dataclasses import replace

import numpy as np
import pandas as pd

from lib.attribution import arrays
from lib.attribution.maps import MapSet, correct
from lib.drift import metrics
from lib.drift.pairings import missing, outcome_strata, pairings
from lib.report import page as report
from lib.study.artefacts import begin, write_json, write_table
from lib.study.paths import StudyPaths

CLASSES = ("<script>alert(1)</script>", 'a&b\'s "quoted"', "plain")
ARCHITECTURES = ("densenet201", "resnet50v2")
CELLS = {("stage4", "layercam"): 10, ("stage4", "gradcam"): 10,
         ("post_activation", "layercam"): 5, ("post_activation", "gradcam"): 5}  # fmt: skip
CHECKPOINTS = ("transfer-s0", "finetune-s0", "placebo-s0")
SIDE = 64


def ids(films: int) -> list[str]:
    """Names of films; the first two are markup."""
    names = [f"secret-{n:04d}" for n in range(films)]
    names[:2] = ["</script><img src=x onerror=alert(2)>", "../../etc/passwd"][: len(names)]
    return names


def complete(file, save):
    """Write an artefact with its manifest."""
    record = begin(file, parameters={})
    save(file)
    record.complete()


def change_maps(paths, architecture, checkpoint, **changes):
    """Replace parts of the maps of a checkpoint."""
    file = paths.maps(architecture, checkpoint)
    complete(file, replace(MapSet.load(file), **changes).save)


def make_report(paths, *, classes=CLASSES, shareable=True, **options):
    """Write the report of a study; its folder."""
    folder = paths.report.parent
    report.write(paths, folder, classes=classes, shareable=shareable, **options)
    return folder


def make_study(folder, *, films=12, name="made", seed=5):
    """Write a study: manifest, films, lesions, maps, pairs, drift, performance, verdicts.

    Film 0 of densenet201 has a blank map before; all maps of the other films are random. In
    ``pairs.csv`` the overlap of film n is (n + 1) / films, so film 0 drifted most.
    """
    paths, random = StudyPaths(folder, name), np.random.default_rng(seed)
    names, labels = ids(films), np.arange(films) % len(CLASSES)
    manifest = pd.DataFrame(
        {
            "image_id": names, "file": [f"{n}.png" for n in names],
            "label": [CLASSES[label] for label in labels], "patient_id": names,
            "patient_known": True, "split": "test", "row": np.arange(films)[::-1],
        }
    )  # fmt: skip
    complete(paths.manifest, lambda file: write_table(file, manifest))
    cache = np.zeros((films, SIDE, SIDE), np.uint8)
    cache[:] = np.linspace(20, 235, SIDE).astype(np.uint8)  # darker on the left
    np.save(paths.images(SIDE), cache)
    lesions = np.zeros((films, SIDE, SIDE), bool)
    lesions[:, 16:32, 32:48] = True
    np.save(paths.data / f"lesion_{SIDE}.npy", lesions)
    write_json(paths.data / "audit.json", _audit(films))
    sets = {a: _explain(paths, a, names, labels, random) for a in ARCHITECTURES}
    right = [correct(maps) for of in sets.values() for maps in of.values()]
    tables = [_compare(a, of, names, np.all(right, axis=0)) for a, of in sets.items()]
    pairs = pd.concat(tables, ignore_index=True)
    write_table(paths.tables / "pairs.csv", pairs)
    _summaries(paths, pairs, films)
    return paths


def _audit(films):
    return {
        "images": {name: {"test": films // len(CLASSES)} for name in CLASSES},
        "patients": dict.fromkeys(CLASSES, films // len(CLASSES)),
        "findings": [{"severity": "warning", "text": "class <script>alert(3)</script> is rare"}],
        "duplicates": {"pairs": [["secret-0003.png", "secret-0004.png"]]},
        "probe": {"balanced_accuracy": 0.4321, "chance": 1 / 3, "side": 32},
    }


def _explain(paths, architecture, names, labels, random):
    sets = {}
    for checkpoint in CHECKPOINTS:
        maps = {
            cell: random.random((len(names), side, side)).astype(np.float32)
            for cell, side in CELLS.items()
        }
        if architecture == "densenet201" and checkpoint == "transfer-s0":
            for stack in maps.values():
                stack[0] = 0
        logits = random.normal(size=(len(names), len(CLASSES))).astype(np.float32)
        logits[np.arange(len(names)), labels] += 2 * (np.arange(len(names)) % 4 > 0)
        found = MapSet(np.array(names), labels, labels, logits, maps, {})
        complete(paths.maps(architecture, checkpoint), found.save)
        sets[checkpoint] = found
    return sets


def _compare(architecture, sets, names, common):
    rows = []
    wanted = pairings([0], [0])
    for pair in (pair for pair in wanted if not missing([pair], sets)):
        before, after = sets[pair.before], sets[pair.after]
        strata = outcome_strata(correct(before), correct(after))
        for role, method in CELLS:
            table = pd.DataFrame({"image_id": names, "partner_id": names})
            if pair.name == "ceiling":
                table["partner_id"] = np.roll(names, 3)
            table[["architecture", "pairing", "before", "after", "role", "method"]] = [
                architecture, pair.name, pair.before, pair.after, role, method,
            ]  # fmt: skip
            table["stratum"], table["common"] = strata, common
            for metric in metrics.METRICS:
                table[metric] = (np.arange(len(names)) + 1) / len(names)
            empty = (arrays.blank_reason(before.maps[role, method]) != "") & (
                pair.before == "transfer-s0"
            )
            table.loc[empty, list(metrics.METRICS)] = np.nan
            table["blank"] = np.where(empty, "a: all zero", "")
            rows.append(table)
    return pd.concat(rows, ignore_index=True)


def _summaries(paths, pairs, films):
    cell = ["architecture", "method", "role", "pairing"]
    long = pairs.melt([*cell, "image_id"], list(metrics.METRICS), "metric")
    table = long.groupby([*cell, "metric"], sort=False)["value"].agg(["mean", "std", "count"])
    table = table.reset_index().rename(columns={"std": "sd", "count": "n"}).assign(blank=0, pairs=1)
    support = pd.DataFrame({"label": CLASSES, "films": films // 3, "common": 1})
    performance = pd.DataFrame(
        [
            [a, c, "test", films, 0.5, 0.61, 0.62, 0.7 + 0.1 * (c == "finetune-s0")]
            for a in ARCHITECTURES
            for c in CHECKPOINTS
        ],
        columns=["architecture", "checkpoint", "split", "n", "loss", "accuracy",
                 "balanced_accuracy", "macro_auc"],
    )  # fmt: skip
    verdict = {
        "question": "Is <b>this</b> bold?", "verdict": "inconclusive",
        "sentence": "H1 is inconclusive: <img src=x onerror=alert(4)>.", "reasons": [],
        "seed_level": "not estimated",
        "family": [
            {"architecture": "densenet201", "method": "layercam", "statement": "drift",
             "estimate": 0.25, "low": 0.125, "high": 0.375, "problem": "few", "undefined": ""},
            {"architecture": "resnet50v2", "method": "layercam", "statement": "drift",
             "estimate": None, "low": None, "high": None, "problem": "", "undefined": "blank"},
        ],
    }  # fmt: skip
    supported = verdict | {"verdict": "supported", "sentence": "H3 is supported.", "family": []}
    record = begin(
        paths.tables / "drift.csv",
        parameters={
            "study": paths.study, "data": {"source": "/home/me/secret-place/films"},
            "seeds": [0], "transfer_seeds": [0], "weights": {"source": "fractal"},
        },
    )  # fmt: skip
    retained = pd.DataFrame(
        [["densenet201", "layercam", "post_activation", "iou_top20", 0.25, 0.125, 0.5, films,
          "not estimated"]],
        columns=["architecture", "method", "role", "metric", "estimate", "low", "high", "films",
                 "seed_level"],
    )  # fmt: skip
    write_table(paths.tables / "retained.csv", retained)
    write_table(record.path, table)
    write_table(paths.tables / "support.csv", support)
    write_table(paths.tables / "performance.csv", performance)
    record.complete(weights="fractal")
    verdicts = {"verdicts": {"H1": verdict, "H3": supported}}
    complete(paths.verdicts, lambda file: write_json(file, verdicts))
