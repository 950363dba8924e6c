"""What the figures of known evidence say: numbers, lines, chance, and that they can be read."""

import itertools

import numpy as np
import pandas as pd
import pytest
from figure_material import assert_legible, legend_texts, texts

from lib.evidence.changes import MEASURES
from lib.evidence.validity import RELATIONS
from lib.figures import style
from lib.figures.evidence import drift_against_evidence, evidence_levels
from lib.study.architectures import ROLES
from lib.study.names import GRADIENT_METHODS

pytestmark = pytest.mark.usefixtures("printed_style")
STAGES = ("transfer", "placebo", "finetune")


def joined_table(count=40):
    """Pairs of every cell: drift grows with the size of the change; two pairs are blank."""
    random, parts = np.random.default_rng(0), []
    for architecture, method in itertools.product(style.ARCHITECTURE, GRADIENT_METHODS):
        change = random.normal(0.05, 0.1, count)
        overlap = np.clip(1 - 3 * np.abs(change) - random.uniform(0, 0.3, count), 0, 1)
        overlap[:2] = np.nan
        names = {"architecture": architecture, "method": method, "role": "auto_conv"}
        values = {"lesion_mass_change": change, "iou_top20": overlap, "emd": 1 - overlap}
        parts.append(pd.DataFrame(values).assign(**names, pairing="finetune"))
    return pd.concat(parts, ignore_index=True)


def validity_table(rho=(0.816, -0.052), n=38, blank=2):
    cells = itertools.product(
        style.ARCHITECTURE, GRADIENT_METHODS, ["iou_top20", "emd"], zip(RELATIONS, rho, strict=True)
    )
    rows = [(a, m, metric, relation, value) for a, m, metric, (relation, value) in cells]
    table = pd.DataFrame(rows, columns=["architecture", "method", "metric", "relation", "rho"])
    return table.assign(role="auto_conv", pairing="finetune", n=n, blank=blank)


def summary_table(architectures=style.ARCHITECTURE, **changes):
    cells = itertools.product(architectures, STAGES, ROLES, GRADIENT_METHODS, MEASURES)
    columns = ["architecture", "stage", "role", "method", "measure"]
    values = {"n": 9, "mean": 0.3, "low": 0.2, "high": 0.45, "uniform": 0.1, "centre": 0.15}
    return pd.DataFrame(cells, columns=columns).assign(**values | changes)


def assert_labels_stay_below_their_panels(figure, columns):
    boxes = [ax.xaxis.label.get_window_extent() for ax in panels(figure)[-columns:]]
    for left, right in itertools.pairwise(boxes):
        assert left.x1 < right.x0, "labels of neighbours run into each other"


def panels(figure):
    return [ax for ax in figure.axes if ax.get_subplotspec() and ax.get_title()]


def test_every_panel_tells_its_counts_and_correlations():
    figure = drift_against_evidence(joined_table(), validity_table(), role="auto_conv")
    found = panels(figure)
    assert len(found) == 9
    assert found[0].get_title().splitlines() == [
        "DenseNet201 · LayerCAM", "n = 38 + 2 blank", "ρ = 0.82 with size, −0.05 with sign",
    ]  # fmt: skip
    assert found[0].get_ylabel() == "Drift:\n1 − IoU of the top 20 % of cells"
    assert found[-1].get_xlabel() == (
        "Change of the relevance mass\nin the lesion (share of the map)"
    )
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in found}) == 1


def test_panels_of_maps_no_better_than_random_ones_are_marked():
    marked = {("resnet50v2", "auto_conv", "gradcam")}
    figure = drift_against_evidence(
        joined_table(), validity_table(), role="auto_conv", marked=marked
    )
    heads = [ax.get_title().splitlines()[0] for ax in panels(figure)]
    assert [head for head in heads if "†" in head] == ["ResNet50V2 · Grad-CAM†"]
    assert "†: maps" in figure.legends[0].get_title().get_text()


def test_every_pair_is_drawn_once_and_zero_is_marked():
    table = joined_table()
    figure = drift_against_evidence(table, validity_table(blank=0), role="auto_conv")
    norms = set()
    for ax in panels(figure):
        (cells,) = ax.collections
        assert cells.get_array().sum() == 38
        norms.add((cells.norm.vmin, cells.norm.vmax))
        lines = [line.get_xydata().tolist() for line in ax.lines]
        assert lines == [[[0, 0], [0, 1]], [[0, 0], [1, 0]]]
        low, high = ax.get_xlim()
        assert low == -high, "gain and loss need the same room"
    assert len(norms) == 1, "one colour means one count"
    assert "blank" not in panels(figure)[0].get_title()


def test_a_distance_is_drawn_as_it_is():
    table = joined_table().query("architecture == 'inceptionv3' and method == 'gradcam'")
    figure = drift_against_evidence(table, validity_table(), role="auto_conv", metric="emd")
    (ax,) = panels(figure)
    assert ax.get_ylabel() == "Earth mover's distance\n(share of the diagonal)"
    assert_legible(figure)


def test_a_cell_without_values_says_so():
    table = joined_table().assign(iou_top20=np.nan)
    validity = validity_table(rho=(np.nan, np.nan), n=0, blank=40)
    figure = drift_against_evidence(table, validity, role="auto_conv")
    title = panels(figure)[0].get_title()
    assert title.endswith("n = 0 + 40 blank\nρ = – with size, – with sign")
    figure = drift_against_evidence(table, validity[:0], role="auto_conv")
    assert "no pair with a known change" in panels(figure)[0].get_title()


def test_tables_that_mix_pairings_are_refused():
    table, validity = joined_table(), validity_table()
    mixed = pd.concat([table, table.assign(pairing="placebo")])
    with pytest.raises(ValueError, match=r"found the pairings \['finetune', 'placebo'\]"):
        drift_against_evidence(mixed, validity, role="auto_conv")
    with pytest.raises(ValueError, match=r"validity: found .* twice"):
        drift_against_evidence(table, pd.concat([validity] * 2), role="auto_conv")
    with pytest.raises(ValueError, match=r"role: found 'stage4'; expected one of \['auto_conv'\]"):
        drift_against_evidence(table, validity, role="stage4")
    with pytest.raises(ValueError, match=r"expected also \['lesion_mass_change'\]"):
        drift_against_evidence(table.drop(columns="lesion_mass_change"), validity, role="auto_conv")


def test_levels_stand_beside_chance():
    figure = evidence_levels(summary_table())
    assert len(figure.axes) == 12
    labels = [look.title for look in map(style.STAGE.get, STAGES)]
    assert legend_texts(figure) == [*labels, "uniform map", "centre prior"]
    ax = figure.axes[0]
    assert ax.get_title() == "stage4 · LayerCAM" and ax.get_xlim()[0] == 0
    drawn = {line.get_marker(): line.get_xdata().tolist() for line in ax.lines}
    assert drawn == {"|": [0.1], "x": [0.15], "v": [0.3], "s": [0.3], "D": [0.3]}
    whiskers = [bar.get_segments()[0][:, 0] for bar in ax.collections]
    np.testing.assert_allclose(whiskers, [[0.2, 0.45]] * 9)
    heights = [line.get_ydata()[0] for line in ax.lines if line.get_marker() in "vsD"]
    assert len(set(np.round(heights, 9))) == 9, "no two stages at one height"


def test_levels_without_values_or_interval():
    blank = summary_table(["resnet50v2"], mean=np.nan, n=0)
    figure = evidence_levels(blank, measure="lung_mass")
    assert texts(figure.axes[0]) == ["n = 0"] * 3
    figure = evidence_levels(summary_table(["resnet50v2"], low=np.nan, high=np.nan))
    (segment,) = figure.axes[0].collections[0].get_segments()
    assert np.ptp(segment[:, 0]) == 0
    with pytest.raises(ValueError, match="measure: found 'mass'; expected one of"):
        evidence_levels(blank, measure="mass")
    with pytest.raises(ValueError, match=r"summary: found .* twice"):
        evidence_levels(pd.concat([blank, blank]))
    with pytest.raises(ValueError, match=r"expected also \['uniform'\]"):
        evidence_levels(blank.drop(columns="uniform"))


@pytest.mark.parametrize("architectures", [1, 3])
def test_no_text_is_clipped_or_smaller_than_eight_points(architectures):
    chosen = list(style.ARCHITECTURE)[:architectures]
    table = joined_table()
    table = table[table["architecture"].isin(chosen)]
    few = summary_table(chosen).query("role == 'auto_conv'")
    scatter = drift_against_evidence(table, validity_table(n=1200), role="auto_conv")
    for columns, figure in (
        (architectures, scatter),
        (3, evidence_levels(summary_table(chosen))),
        *((3, evidence_levels(few, measure=measure)) for measure in MEASURES[1:]),
    ):
        assert_legible(figure)
        assert_labels_stay_below_their_panels(figure, columns)
