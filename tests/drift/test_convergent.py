"""Rank agreement of drift metrics against SciPy's Spearman correlation, and planted agreements."""

import numpy as np
import pandas as pd
import pytest
from figure_material import assert_legible
from scipy.stats import spearmanr

from lib.drift.convergent import metric_agreement
from lib.figures import controls
from lib.study.schema import check

NAMES = ("iou_top20", "gini_change", "unit_distance")


def pairs(films=60, runs=("finetune-s0", "finetune-s1"), **planted):
    """Pairs of a cell with these metrics; the rest is noise."""
    random, parts = np.random.default_rng(2), []
    for after in runs:
        values = {name: random.random(films) for name in NAMES} | planted
        cell = {"architecture": "resnet50v2", "role": "stage4", "method": "layercam"}
        parts.append(pd.DataFrame(cell | {"before": "transfer-s0", "after": after} | values))
    return pd.concat(parts, ignore_index=True)


def rho(table):
    return table.set_index(["metric_a", "metric_b"])["rho"]


def test_it_is_spearmans_with_similarities_negated_and_changes_by_size():
    table = pairs(iou_top20=np.random.default_rng(5).integers(0, 5, 60) / 4)
    table["gini_change"] -= 0.5
    found = metric_agreement(table, metrics=NAMES)
    check("metric_agreement", found)
    runs = [run for _, run in table.groupby("after")]
    expected = {
        ("iou_top20", "gini_change"): [spearmanr(-r["iou_top20"], r["gini_change"].abs())[0]
                                       for r in runs],
        ("iou_top20", "unit_distance"): [spearmanr(-r["iou_top20"], r["unit_distance"])[0]
                                         for r in runs],
        ("gini_change", "unit_distance"): [spearmanr(r["gini_change"].abs(), r["unit_distance"])[0]
                                           for r in runs],
    }  # fmt: skip
    for key, values in expected.items():
        assert rho(found)[key] == pytest.approx(np.mean(values), abs=1e-12)
    assert set(found["pairs"]) == {120} and set(found["runs"]) == {2}


def test_metrics_that_say_the_same_agree_and_a_constant_one_has_no_answer():
    overlap = np.random.default_rng(1).random(60)
    table = pairs(iou_top20=overlap, unit_distance=(1 - overlap) ** 3, gini_change=0.25)
    table.loc[0, "iou_top20"] = np.nan  # blank
    found = metric_agreement(table, metrics=NAMES)
    assert rho(found)["iou_top20", "unit_distance"] == pytest.approx(1)
    assert np.isnan(rho(found)["iou_top20", "gini_change"])
    assert set(found["pairs"]) == {119}
    few = metric_agreement(pairs(films=2), metrics=NAMES)
    assert few["rho"].isna().all() and set(few["runs"]) == {0}
    assert metric_agreement(table[:0], metrics=NAMES).empty


@pytest.mark.usefixtures("printed_style")
def test_the_figure_writes_every_correlation_twice():
    figure = controls.metric_agreement(metric_agreement(pairs(), metrics=NAMES))
    assert_legible(figure)
    ax = figure.axes[0]
    told = [text.get_text() for text in ax.texts]
    assert len(told) == 9 and told.count("") == 3
    assert told[1] == told[3] and told[5] == told[7]
