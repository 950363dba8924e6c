"""A rerun beside the published run: known differences, and how often chance alone differs."""

import json

import numpy as np
import pandas as pd
import pytest

from lib.__main__ import main
from lib.published import verify
from lib.study.artefacts import begin, read_table, write_table
from lib.study.errors import ArtefactError
from lib.study.paths import ROOT, StudyPaths

REFERENCE = ROOT / "results/reference"
NAMES = ("densenet201", "resnet50v2", "inceptionv3")


def run(random, *, seeds=5, shift=0.0, spread=0.02):
    """Figures of a run: two stages and a pairing of three architectures, with seeds that differ."""
    rows = []
    for quantity, of in (("macro_auc", "transfer"), ("macro_auc", "finetune"), ("iou", "finetune")):
        for number, name in enumerate(NAMES):
            count = 1 if of == "transfer" else seeds
            values = 0.5 + 0.1 * number + shift + random.normal(0, spread, count)
            spread_seen = np.std(values, ddof=1) if count > 1 else np.nan
            rows.append([quantity, of, name, "", "", values.mean(), spread_seen, count])
    return pd.DataFrame(rows, columns=[*verify.KEYS, "mean", "sd", "runs"])


def test_units_by_hand():
    rows = [
        ["auc", "finetune", "a", "", "", 0.5, 0.03, 3],
        ["auc", "finetune", "b", "", "", 0.7, 0.01, 3],
        ["auc", "transfer", "a", "", "", 0.4, np.nan, 1],
        ["auc", "finetune", "c", "", "", 0.1, 0, 3],
    ]
    one = pd.DataFrame(rows, columns=[*verify.KEYS, "mean", "sd", "runs"])
    other = one.iloc[:3].assign(mean=[0.6, 0.7, 0.5], sd=[0.03, 0.01, np.nan])
    found = verify.compare(one, other).set_index(["of", "architecture"])
    pooled = np.sqrt((4 * 0.03**2 + 4 * 0.01**2) / 10)  # five spreads of 2 degrees, one of them 0
    rows = [("finetune", "a"), ("finetune", "b"), ("transfer", "a"), ("finetune", "c")]
    found = found.loc[rows]
    assert found["unit"].iloc[0] == pytest.approx(pooled * np.sqrt(2 / 3))
    assert found.loc[("transfer", "a"), "unit"] == pytest.approx(pooled * np.sqrt(2))
    assert found["difference"].iloc[:3].tolist() == pytest.approx([0.1, 0, 0.1])
    verdicts = ["differs", "agrees", "differs", "only published"]
    assert found["in_units"].abs().iloc[0] > verify.LIMIT and found["verdict"].tolist() == verdicts
    told = verify.sentence(found.reset_index(), ["seeds"])
    assert told.startswith("This run differs: 1 of 3 figures") and "auc of finetune a" in told
    assert "1 figures stand in one" in told and told.endswith("published run: seeds.")


def test_chance_alone_seldom_says_that_a_run_differs():
    random, wrong, runs = np.random.default_rng(5), 0, 400
    for _ in range(runs):
        table = verify.compare(run(random), run(random, seeds=3))
        wrong += verify.sentence(table, []).startswith("This run differs")
    assert wrong <= 0.10 * runs  # nine figures: one beyond the limit is enough to say so
    shifted = verify.compare(run(random), run(random, shift=0.2))
    assert (shifted["verdict"] == "differs").all()


def test_seeds_that_all_agree_leave_the_rounding_of_the_front_page():
    random = np.random.default_rng(6)
    table = verify.compare(run(random, spread=0), run(random, spread=0, shift=0.004))
    assert (table["verdict"] == "agrees").all() and (table["unit"] < verify.RESOLUTION * 1.5).all()


def finished(tmp_path, source, **parameters):
    """The published tables of a study as those of a run."""
    paths = StudyPaths(tmp_path, "mine")
    origin = json.loads((REFERENCE / source / "provenance.json").read_text(encoding="utf-8"))
    record = begin(paths.tables / "drift.csv", parameters=origin["parameters"] | parameters)
    for name in ("drift", "performance"):
        write_table(
            paths.tables / f"{name}.csv", read_table(REFERENCE / source / f"tables/{name}.csv")
        )
    record.complete(paths.tables / "performance.csv")
    return paths


def test_a_published_study_agrees_with_itself_and_not_with_another(tmp_path, capsys):
    paths = finished(tmp_path, "phantom", seeds=[0, 1])
    told = verify.verify(paths, reference=REFERENCE / "phantom")
    table = read_table(paths.root / "verify.csv")
    assert (table["verdict"] == "agrees").all() and len(table) > 50
    assert f"{len(table)} of {len(table)} figures" in told and told.endswith(
        "published run: seeds."
    )
    command = ["verify", "mine", "--results", str(tmp_path), "--reference"]
    assert main([*command, str(REFERENCE / "real")]) == 0
    assert "This run differs" in capsys.readouterr().out
    assert main([*command, str(tmp_path / "none")]) == 2
    assert "no published study there" in capsys.readouterr().err


def test_an_unfinished_study_cannot_be_verified(tmp_path):
    with pytest.raises(ArtefactError, match=r"drift\.csv"):
        verify.verify(StudyPaths(tmp_path, "mine"), reference=REFERENCE / "phantom")
