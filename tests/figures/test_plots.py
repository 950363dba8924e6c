"""What the figures of tables say: labels, shared ranges, counts, ranks and marks, not pixels."""

import numpy as np
import pandas as pd
import pytest
from figure_material import FIVE, assert_legible, history_table, legend_texts, pairs_table, texts

from lib.drift.summaries import summarise
from lib.figures import answer, drift, style
from lib.figures import training as training_plots

pytestmark = pytest.mark.usefixtures("printed_style")

CELL = {"method": "layercam", "role": "post_activation"}


def ranking_table(means):
    """Means by architecture and method at one role, ranked from the highest."""
    rows = [
        {"architecture": name, "method": method, "role": "auto_conv", "mean": mean}
        for name, by_method in means.items()
        for method, mean in by_method.items()
    ]
    table = pd.DataFrame(rows)
    return table.assign(rank=table.groupby("method")["mean"].rank(ascending=False))


def test_drift_distributions_count_and_centre_every_group():
    figure = drift.drift_distributions(pairs_table())
    assert len(figure.axes) == 12
    assert len({ax.get_ylim() for ax in figure.axes}) == 1
    assert figure.axes[0].get_title() == "stage4 · LayerCAM"
    assert figure.axes[0].get_ylabel() == "IoU of the top 20 % of cells\n(0 to 1)"
    assert legend_texts(figure) == [style.PAIRING[name].title for name in FIVE]
    for ax in figure.axes:
        assert texts(ax) == ["3 +1"] * 15
        assert [label.get_text() for label in ax.get_xticklabels()] == [
            "DenseNet201", "ResNet50V2", "InceptionV3",
        ]  # fmt: skip
        means = [line.get_ydata()[0] for line in ax.lines if line.get_markeredgecolor() == "white"]
        assert means == pytest.approx([0.5] * 15)
        medians = [line.get_ydata()[0] for line in ax.lines if line.get_linewidth() == 2]
        assert medians == pytest.approx([0.4] * 15)


def test_drift_distributions_of_a_blank_group_and_a_missing_pairing():
    table = pairs_table().query("method == 'gradcam' and role == 'auto_conv'")
    table = table[table["pairing"].isin(["finetune", "ceiling"])]
    dead = table["architecture"] == "resnet50v2"
    table = table.assign(
        iou_top20=table["iou_top20"].mask(dead), blank=table["blank"].mask(dead, "a: all zero")
    )
    (ax,) = drift.drift_distributions(table).axes
    assert texts(ax) == ["3 +1", "3 +1", "0 +4", "0 +4", "3 +1", "3 +1"]
    assert len(ax.patches) == 4
    drift.drift_distributions(table[dead])


def test_ranking_prints_the_ranks_at_the_means_and_marks_gaps():
    means = {
        "densenet201": {"layercam": 0.7, "gradcam": 0.5},
        "resnet50v2": {"layercam": 0.6, "gradcam": 0.6},
        "inceptionv3": {"layercam": 0.6, "gradcam": np.nan},
    }
    (ax,) = drift.ranking(ranking_table(means), metric="iou_top20").axes
    found = {(t.get_text(), round(t.get_position()[1], 6)) for t in ax.texts}
    assert found == {
        ("1", 0.7), ("2.5", 0.6), ("2", 0.5), ("1", 0.6), ("no value:\nInceptionV3", 0.02),
    }  # fmt: skip
    assert ax.get_ylabel() == "Mean IoU of the top 20 % of cells\n(0 to 1)"
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    np.testing.assert_array_equal(lines["InceptionV3"], [0.6, np.nan])
    places = [text.get_position() for text in ax.texts]
    assert len(set(places)) == len(places), "numbers must not lie on each other"


def test_ranking_shares_limits_and_takes_a_single_or_an_empty_cell():
    table = ranking_table({"densenet201": {"layercam": 0.7}})
    both = pd.concat([table, table.assign(role="prev_conv", mean=0.2)])
    left, right = drift.ranking(both, metric="pearson").axes
    assert left.get_ylim() == right.get_ylim()
    assert (left.get_title(), right.get_title()) == ("auto_conv", "prev_conv")
    (ax,) = drift.ranking(table.assign(mean=np.nan, rank=np.nan), metric="pearson").axes
    assert texts(ax) == ["no value:\nDenseNet201"]
    with pytest.raises(ValueError, match="twice"):
        drift.ranking(pd.concat([table, table]), metric="pearson")


def test_learning_curves_mark_the_kept_epoch():
    figure = training_plots.learning_curves(history_table())
    grid = np.array(figure.axes).reshape(2, 2)
    assert [ax.get_title() for ax in grid[0]] == ["ResNet50V2\ntransfer", "ResNet50V2\nfine-tuning"]
    kept = [
        [line.get_xydata().tolist() for line in ax.lines if line.get_linestyle() == "None"]
        for ax in grid.flat
    ]
    assert kept == [[[[2, 0.9]]], [[[3, 0.6]]], [[[2, 0.7]]], [[[3, 0.8]]]]
    assert grid[0, 0].get_ylabel() == "Cross-entropy loss (nats)"
    assert "macro AUC" in grid[1, 0].get_ylabel()
    assert grid[1, 0].get_xlabel() == "Epoch"
    for row in grid:
        assert row[0].get_ylim() == row[1].get_ylim()
    (training,) = (line for line in grid[0, 0].lines if line.get_linestyle() == "--")
    assert training.get_ydata() == pytest.approx([1.4, 0.8, 0.9, 1.0])
    training_plots.learning_curves(history_table().query("epoch == 1"))


def test_confusions_show_counts_and_shares_of_the_true_class():
    cells = [("normal", "normal", 9), ("normal", "covid19", 1), ("covid19", "covid19", 3)]
    table = pd.DataFrame(cells, columns=["true", "predicted", "count"])
    table = table.assign(architecture="inceptionv3", checkpoint="transfer-s0")
    other = table.iloc[2:].assign(checkpoint="finetune-s0")
    figure = training_plots.confusions(pd.concat([table, other]))
    top, bottom = figure.axes[:2]
    assert texts(top) == ["9", "1", "0", "3"]
    assert top.images[0].get_array().tolist() == [[0.9, 0.1], [0, 1]]
    assert bottom.images[0].get_array().tolist() == [[0, 0], [0, 1]]
    assert [(a.images[0].norm.vmin, a.images[0].norm.vmax) for a in (top, bottom)] == [(0, 1)] * 2
    assert top.get_title() == "InceptionV3\ntransfer-s0"
    assert (top.get_ylabel(), bottom.get_xlabel()) == ("True class", "Predicted class")


def test_labels_of_many_confusions_stay_in_the_figure():
    classes = ["normal", "bacterial_pneumonia", "viral_pneumonia", "covid19", "tuberculosis"]
    table = pd.DataFrame({"true": classes, "predicted": classes, "count": 30})
    stages = ("transfer-s0", "finetune-s0")
    parts = [
        table.assign(architecture=name, checkpoint=stage)
        for name in style.ARCHITECTURE
        for stage in stages
    ]
    figure = training_plots.confusions(pd.concat(parts))
    assert_legible(figure)
    left = min(ax.yaxis.label.get_window_extent().x0 for ax in figure.axes if ax.get_ylabel())
    assert left > 2


def test_controls_draw_the_summary():
    by = ["architecture", "method", "role", "pairing"]
    summary = summarise(pairs_table(), by, metrics=["iou_top20"])
    summary.loc[summary["pairing"] == "placebo", "mean"] = 0.8
    summary.loc[summary["pairing"] == "ceiling", "mean"] = 0.3
    figure = drift.controls(summary)
    assert len(figure.axes) == 12 and len({ax.get_xlim() for ax in figure.axes}) == 1
    for ax in figure.axes:
        spans = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches]
        np.testing.assert_allclose(spans, [(0.3, 0.8)] * 3)
        dots = [line.get_xdata()[0] for line in ax.lines]
        assert dots[:5] == pytest.approx([0.3, 0.5, 0.5, 0.8, 0.5])
    sd = np.std([0.2, 0.4, 0.9], ddof=1)
    ends = [bar.get_segments()[0][:, 0] for bar in figure.axes[0].collections[:4]]
    np.testing.assert_allclose(
        ends, [[0, 0.3 + sd], [0.5 - sd, 0.5 + sd], [0.5 - sd, 0.5 + sd], [0.8 - sd, 1]]
    )
    assert figure.axes[-1].get_xlabel() == "Mean IoU of the top 20 % of cells\n(0 to 1)"


def test_controls_of_one_cell_without_placebo_and_with_a_blank_group():
    row = CELL | {"architecture": "densenet201", "metric": "emd", "mean": 0.1, "sd": 0.02, "n": 9}
    rows = [row | {"pairing": "finetune"}, row | {"pairing": "finetune", "sd": np.nan, "n": 1}]
    rows.append(row | {"pairing": "ceiling", "mean": np.nan, "sd": np.nan, "n": 0})
    (ax,) = drift.controls(pd.DataFrame(rows), metric="emd").axes
    assert texts(ax) == ["n = 0"]
    assert len(ax.lines) == 2 and not ax.patches
    with pytest.raises(ValueError, match=r"'ssim'.*\['emd'\]"):
        drift.controls(pd.DataFrame(rows), metric="ssim")


def test_transitions_fill_every_bar():
    row = {"architecture": "resnet50v2", "method": "gradcam", "role": "auto_conv"}
    counts = {"films": 10, "present": 5, "vanished": 3, "appeared": 2, "blank": 0}
    table = pd.DataFrame([row | {"label": name} | counts for name in ("normal", "covid19")])
    figure = drift.transitions(table)
    (ax,) = figure.axes
    bars = [(bar.get_x(), bar.get_width()) for bar in ax.patches]
    np.testing.assert_allclose(bars, [(0, 0.5), (0.5, 0.3), (0.8, 0.2), (1, 0)], atol=1e-12)
    assert legend_texts(figure)[1] == "vanished"
    assert_legible(figure)


def test_performance_places_every_checkpoint_in_its_row():
    rows = [
        ("resnet50v2", "finetune-s0", 0.95, 0.8), ("densenet201", "transfer-s0", 0.88, 0.6),
        ("densenet201", "finetune-s0", 0.97, 0.9),
    ]  # fmt: skip
    columns = ["architecture", "checkpoint", "macro_auc", "balanced_accuracy"]
    table = pd.DataFrame(rows, columns=columns)
    auc, accuracy = training_plots.performance(table).axes
    assert auc.get_xlabel() == "Macro AUC, test films (0.5 = chance)"
    assert accuracy.get_xlabel() == "Balanced accuracy, test films (0 to 1)"
    assert [label.get_text() for label in auc.get_yticklabels()] == ["DenseNet201", "ResNet50V2"]
    drawn = [xy for line in accuracy.lines for xy in line.get_xydata().tolist()]
    rows = {round(x, 6): round(y) for x, y in drawn}
    assert rows == {0.6: 0, 0.9: 0, 0.8: 1}
    assert training_plots.performance(table.iloc[1:2]).axes[0].get_ylim() == (0.5, -0.5)


WHOLE = pairs_table(
    metric="iou_top20", mean=1, rank=1, sd=1, n=1, count=1, checkpoint="", true="", predicted=""
)


@pytest.mark.parametrize(("draw", "table", "column"), [
    (drift.drift_distributions, WHOLE, "blank"),
    (lambda table: drift.ranking(table, metric="emd"), WHOLE, "rank"),
    (drift.controls, WHOLE, "sd"),
    (training_plots.confusions, WHOLE, "count"),
    (training_plots.learning_curves, history_table(), "kept"),
    (training_plots.performance, history_table().assign(balanced_accuracy=1), "balanced_accuracy"),
])  # fmt: skip
def test_a_missing_column_is_named(draw, table, column):
    with pytest.raises(ValueError, match=rf"found columns .*expected also \['{column}'\]"):
        draw(table.drop(columns=column))


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"pairing: found \['null'\].*'placebo'"):
        drift.drift_distributions(pairs_table(pairing="null"))
    with pytest.raises(ValueError, match=r"checkpoint: found \['scratch'\].*'transfer'"):
        training_plots.learning_curves(history_table().assign(checkpoint="scratch-s0"))


@pytest.mark.parametrize("architectures", [1, 3])
def test_no_text_is_clipped_or_smaller_than_eight_points(architectures):
    chosen = list(style.ARCHITECTURE)[:architectures]
    table = pairs_table()
    table = table[table["architecture"].isin(chosen)]
    every = pairs_table(style.PAIRING).query("architecture in @chosen")
    summary = summarise(every, ["architecture", *CELL, "pairing"], metrics=["iou_top20"])
    ranks = summary[summary["pairing"] == "finetune"].assign(rank=1.5)
    runs = pd.concat(history_table().assign(architecture=name) for name in chosen)
    names = pd.DataFrame({"true": ["viral_pneumonia"], "predicted": ["bacterial_pneumonia"]})
    names = names.assign(architecture=chosen[0], checkpoint="transfer-s0", count=9)
    for figure in (
        drift.drift_distributions(table),
        drift.controls(summary),
        drift.ranking(ranks, metric="iou_top20"),
        training_plots.learning_curves(runs),
        training_plots.performance(runs.assign(balanced_accuracy=0.5)),
        training_plots.confusions(names),
    ):
        assert_legible(figure)


def test_maps_no_better_than_random_ones_are_marked_in_distributions_and_rankings():
    marked = {("resnet50v2", "auto_conv", "gradcam")}
    figure = drift.drift_distributions(pairs_table(), marked=marked)
    names = [label.get_text() for ax in figure.axes for label in ax.get_xticklabels()]
    assert names.count("ResNet50V2 †") == 1 and names.count("ResNet50V2") == 11
    assert "†: maps" in figure.legends[0].get_title().get_text()
    assert_legible(figure)
    means = {name: {"layercam": 0.5, "gradcam": 0.4} for name in ("densenet201", "resnet50v2")}
    figure = drift.ranking(ranking_table(means), metric="iou_top20", marked=marked)
    assert sorted(texts(figure.axes[0])) == ["1.5"] * 3 + ["1.5†"]
    moved = pd.DataFrame(
        {"architecture": ["densenet201", "resnet50v2"], "estimate": 0.4, "low": 0.2, "high": 0.7,
         "measure": "squares"}
    )  # fmt: skip
    figure = answer.way(moved, panel=("auto_conv", "gradcam"), marked=marked)
    assert texts(figure.axes[0]).count("†") == 1
    assert figure.axes[0].get_xlabel().endswith("more faithful than random ones.")
    assert_legible(figure)


def test_an_interval_without_bounds_is_left_out_of_the_answer():
    moved = pd.DataFrame(
        {"architecture": ["densenet201", "resnet50v2"], "estimate": [0.4, 0.6],
         "low": [0.2, -np.inf], "high": [0.7, np.inf], "measure": "squares"}
    )  # fmt: skip
    ax = answer.way(moved).axes[0]
    assert ax.get_xlim() == (-0.05, 1.05)
    assert [text.get_text() for text in ax.texts] == ["40 %", "60 %"]
