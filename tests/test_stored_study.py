"""All that follows the maps, from stored maps and predictions: the same on every machine.

Drift, evidence, inference, verdicts and report of an invented study (`stored_material`), compared
with tables that ``python tests/stored/make.py --expected`` wrote: a change of results is committed
together with them.
"""

import json
from html import unescape

import numpy as np
import pandas as pd
import pytest
import stored_material as stored

from lib.attribution.maps import MapSet
from lib.hypotheses import observations, stated
from lib.published import recompute
from lib.study import artefacts
from lib.study.artefacts import require, write_json


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """The stored study, laid out and not yet compared."""
    return stored.lay_out(tmp_path_factory.mktemp("stored"))


@pytest.fixture(scope="module")
def finished(paths):
    """The stored study after everything that follows its maps."""
    for notebook in stored.NOTEBOOKS:
        stored.execute(paths, notebook)
    return paths


def test_the_stored_study_is_whole_and_has_every_kind_of_map(paths):
    params, require_all = stored.params(), [require(paths.manifest)]
    for architecture in params.architectures:
        sets = {name: MapSet.load(paths.maps(architecture, name)) for name in params.map_sets}
        require_all += [require(paths.maps(architecture, name)) for name in params.map_sets]
        require_all += [require(paths.checkpoint(architecture, c)) for c in params.checkpoints]
        first, again = sets["transfer-s0"], sets["repeat-s0"]
        assert all((stack == again.maps[cell]).all() for cell, stack in first.maps.items())
        assert len(first.maps) == 4 * 3 and first.image_id.size == 28
        pooled = first.maps["post_activation", "layercam"]
        np.testing.assert_array_equal(
            first.maps["post_activation", "gradcam_plus_plus"], 12 * pooled
        )
        assert (pooled >= 0).all() and pooled.any(axis=(1, 2)).all()
        gradcam = first.maps["auto_conv", "gradcam"]
        blank = gradcam.max(axis=(1, 2)) == gradcam.min(axis=(1, 2))
        assert 0 < blank.sum() < 14
    # 25 sets of maps: "repeat" is "transfer", two controls of each seed borrow the same maps, and a
    # third has those of "corrected".
    assert len(set(require_all)) == 1 + 3 * (25 - 1 - 3 - 3) + 1, (
        "one text stands for every network"
    )


@pytest.mark.study
def test_every_table_is_the_expected_one(finished):
    found, expected = (stored.read_tables(f) for f in (finished.tables, stored.EXPECTED))
    assert set(found) == set(expected)
    faults = {name: stored.disagreements(found[name], expected[name]) for name in expected}
    assert not {name: lines for name, lines in faults.items() if lines}


@pytest.mark.study
def test_every_verdict_is_the_expected_one_with_all_its_numbers(finished):
    found, expected = (
        json.loads(file.read_text(encoding="utf-8"))
        for file in (finished.verdicts, stored.EXPECTED / "verdicts.json")
    )
    assert stored.json_disagreements(found, expected) == []


@pytest.mark.study
def test_means_are_those_that_are_judged(finished):
    """One estimand: the drift table's means are those of the cells that contrasts are made of."""
    observed = observations.read(finished, support="own")
    drift = artefacts.read_table(finished.tables / "drift.csv")
    drift = drift[drift["metric"].isin(["iou_top20", "soft_iou", "unit_distance"])]
    assert (drift["blank"] > 0).any(), "with blank maps the order of means and sums matters"
    keys = drift[observations.CELL].itertuples(index=False, name=None)
    found = [
        observed.estimate(m, {key: 1}).estimate
        for key, m in zip(keys, drift["metric"], strict=True)
    ]
    np.testing.assert_allclose(found, drift["mean"], rtol=6e-6, atol=2e-6)  # six digits


def test_the_report_says_the_verdicts(finished):
    require(finished.report)
    page = unescape(finished.report.read_text(encoding="utf-8"))
    verdicts = json.loads(finished.verdicts.read_text(encoding="utf-8"))["verdicts"]
    assert list(verdicts) == ["H1", "H2", "H3", "H4", "H5", "H6"]
    for verdict in verdicts.values():
        assert verdict["sentence"] in page


@pytest.mark.parametrize(
    ("found", "agrees"),
    [("0.123457", True), ("0.123458", False), ("12345.7", True), ("12345.9", False),
     ("", False), ("gained", False), ("1e-9", False)],
)  # fmt: skip
def test_numbers_agree_to_the_sixth_digit(found, agrees):
    expected = "12345.6" if found.startswith("1234") else "0.123456"
    assert stored.agree(pd.Series([found]), pd.Series([expected]))[0] == agrees


def test_what_differs_is_named():
    table = pd.DataFrame({"label": ["a", "b"], "n": ["1", ""]})
    assert stored.disagreements(table, table) == []
    other = table.assign(n=["1", "0"], label=["a", "c"])
    assert stored.disagreements(other, table) == [
        "1 of 2 in label, first in row 1: 'c', expected 'b'",
        "1 of 2 in n, first in row 1: '0', expected ''",
    ]
    assert stored.disagreements(table[:1], table) == ["1 rows, expected 2"]
    assert stored.disagreements(table[["n"]], table) == ["columns ['n'], expected ['label', 'n']"]
    value = {"p": 0.25, "shown": True, "why": None, "family": [{"n": 3}]}
    assert stored.json_disagreements(value, value) == []
    changed = value | {"p": 0.2501, "shown": False, "family": [{"n": 4}]}
    assert stored.json_disagreements(changed, value) == [
        "/p: 0.2501, expected 0.25", "/shown: False, expected True",
        "/family/0/n: 4, expected 3",
    ]  # fmt: skip


def test_one_wrong_value_among_all_pairs_shows_in_their_digest():
    columns = ["architecture", "method", "role", "pairing", "before", "after"]
    rows = pd.DataFrame([["a"] * 6] * 28, columns=columns)
    rows = rows.assign(image_id=[str(n) for n in range(28)], common="True", iou_top20="0.5")
    digest = stored.digest(rows)
    assert digest["iou_top20_mean"].tolist() == ["0.5"] and digest["films"].tolist() == ["28"]
    wrong = rows.assign(iou_top20=["0.5001", *["0.5"] * 27])
    assert stored.disagreements(stored.digest(wrong), digest)
    assert stored.disagreements(stored.digest(rows[::-1]), digest), "the order counts"


@pytest.mark.study
def test_verdicts_follow_from_the_pairs_that_are_published(finished, tmp_path):
    rules = stated.load()
    recompute.write(finished, tmp_path / "pairs")
    (tmp_path / "verdicts.json").write_bytes(finished.verdicts.read_bytes())
    write_json(
        tmp_path / "provenance.json", {"parameters": stored.params().model_dump(mode="json")}
    )
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/priors.csv").write_bytes((finished.tables / "priors.csv").read_bytes())
    expected = json.loads(finished.verdicts.read_text(encoding="utf-8"))["verdicts"]
    found = {verdict.name: verdict.as_json() for verdict in recompute.judge(tmp_path)}
    assert found == expected
    assert {verdict["verdict"] for verdict in found.values()} > {"supported"}
    sizes = recompute.power(tmp_path, rules, seeds=3, films=28)
    assert {"H1", "H4", "H5", "H6"} <= set(sizes) and "H3" not in sizes
    # Another rule can be put to the same pairs.
    near = rules.H4.model_copy(update={"most_way": 0.01})
    other = {v.name: v for v in recompute.judge(tmp_path, rules.model_copy(update={"H4": near}))}
    asked, stated_ = (
        pd.DataFrame(of["family"])["threshold"].to_numpy()
        for of in (other["H4"].as_json(), expected["H4"])
    )
    np.testing.assert_allclose(asked, 0.02 * stated_, rtol=1e-4)
    assert other["H1"].as_json() == expected["H1"]
