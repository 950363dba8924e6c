"""Readings of one formula, and what they change."""

import numpy as np
import pandas as pd
import pytest
from figure_material import assert_legible

from lib.attribution import formulas, readings
from lib.attribution.maps import MapSet
from lib.drift import sensitivity as drifted
from lib.drift.sensitivity import baseline
from lib.figures import appendix


def of(offset, roles=("post_activation",)):
    generator = np.random.default_rng(1)
    maps = {
        (role, method): (generator.random((3, 2, 2)) + offset).astype(np.float32)
        for role in roles
        for method in dict.fromkeys(reading.method for reading in readings.READINGS.values())
    }
    labels = np.array([0, 1, 0])
    logits = np.eye(2, dtype=np.float32)[labels]
    return MapSet(np.array(list("abc")), labels, labels, logits, maps, dict.fromkeys(roles, "x"))


@pytest.mark.parametrize(("grid", "count"), [("study", 14), ("native", 3)])
def test_every_reading_comes_from_its_source(grid, count):
    wanted = readings.at(grid)
    sources = dict.fromkeys(reading.source for reading in wanted.values())
    sets = {source: of(10.0 * number) for number, source in enumerate(sources)}
    whole = readings.combine(sets, grid=grid)
    assert [method for _, method in whole.maps] == list(wanted) and len(wanted) == count
    for name, reading in wanted.items():
        raw = sets[reading.source].maps["post_activation", reading.method]
        expected = formulas.minmax(raw) if reading.minmax else raw
        np.testing.assert_allclose(whole.maps["post_activation", name], expected, rtol=1e-6)


def test_a_missing_source_is_named():
    sets = {("logit", "true_class"): of(0.0), ("logit", "prediction"): of(1.0)}
    with pytest.raises(ValueError, match=r"expected also \[\('probability', 'true_class'\)\]"):
        readings.combine(sets)


def test_each_method_is_compared_with_the_study_s_own_reading():
    for name, reading in readings.READINGS.items():
        own = readings.READINGS[baseline(name)]
        assert own == readings.Reading(own.method)
        assert reading.method.startswith(own.method)


def summary(means):
    rows = [
        {"architecture": a, "method": m, "role": "post_activation", "pairing": "finetune",
         "metric": "iou_top20", "mean": v, "n": 0 if np.isnan(v) else 5, "blank": 5 * np.isnan(v)}
        for m, values in means.items()
        for a, v in zip("xyz", values, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_changes_of_drift_and_of_the_ranking():
    table = drifted.sensitivity(
        summary(
            {
                "Grad-CAM++, min-max": (0.3, 0.2, 0.1),
                "Grad-CAM++": (0.1, 0.2, 0.3),
                "Grad-CAM++, plain α": (0.2, 0.3, 0.5),
                "LayerCAM": (0.5, np.nan, 0.4),
            }
        ),
        readings.READINGS,
    ).set_index("method")
    own, plain, scaled = "Grad-CAM++", "Grad-CAM++, plain α", "Grad-CAM++, min-max"
    assert list(table.index) == ["LayerCAM", own, plain, scaled]
    assert table.loc[own, ["largest_change", "tau"]].tolist() == [0, 1]
    assert table.loc[plain, "largest_change"] == pytest.approx(0.2)
    assert table.loc[plain, "tau"] == 1
    assert table.loc[scaled, "tau"] == -1
    assert table.loc[own, "order"] == "z > y > x"
    assert table.loc["LayerCAM", "order"] == "x > z (1 blank)"
    assert table.loc["LayerCAM", ["n", "blank"]].tolist() == [0, 5]


@pytest.mark.usefixtures("printed_style")
def test_the_figure_has_a_marker_for_every_mean():
    means = {name: np.linspace(0.1, 0.8, 3) for name in readings.READINGS}
    table = drifted.sensitivity(summary(means), readings.READINGS).rename(
        columns={"x": "densenet201", "y": "resnet50v2", "z": "inceptionv3"}
    )
    table.loc[table["method"] == "LayerCAM", "resnet50v2"] = np.nan
    whole = pd.concat([table.assign(role=role) for role in ("stage4", "post_activation")])
    figure = appendix.sensitivity(whole)
    assert [ax.get_title() for ax in figure.axes] == ["stage4", "post_activation"]
    drawn = [np.isfinite(line.get_xdata()).sum() for line in figure.axes[0].lines]
    assert drawn == [len(readings.READINGS), len(readings.READINGS) - 1, len(readings.READINGS)]
    assert_legible(figure)
