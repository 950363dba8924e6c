"""What the figures of the audit show."""

import pandas as pd
import pytest

from lib.data.audit.measures import NUMBERS
from lib.figures import data_audit

pytestmark = pytest.mark.usefixtures("printed_style")


def test_probes_come_in_order_beside_chance():
    facts = {"sd": 0.1, "chance": 0.25}
    figure = data_audit.probe_bars(
        {
            "border": facts | {"balanced_accuracy": 0.7, "description": "the outermost pixels"},
            "thumbnail_32": facts | {"balanced_accuracy": 0.9},
            "metadata": facts | {"balanced_accuracy": 0.3, "description": "the file"},
        }
    )
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == [
        "the file", "the outermost pixels", "thumbnails of 32 pixels",
    ]  # fmt: skip
    assert [bar.get_width() for bar in axes.patches] == [0.3, 0.7, 0.9]
    assert [0.25, 0.25] in [list(line.get_xdata()) for line in axes.lines]


def test_networks_stand_above_the_probes_with_a_mark_per_stage():
    probes = {"border": {"sd": 0.1, "chance": 0.25, "balanced_accuracy": 0.7}}
    rows = [
        ["resnet50v2", "transfer-s0", 0.4], ["resnet50v2", "finetune-s0", 0.6],
        ["resnet50v2", "finetune-s1", 0.8], ["densenet201", "transfer-s0", 0.5],
    ]  # fmt: skip
    columns = ["architecture", "checkpoint", "balanced_accuracy"]
    figure = data_audit.probe_bars(probes, pd.DataFrame(rows, columns=columns))
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == ["border", "ResNet50V2", "DenseNet201"]
    marks = {line.get_label(): list(line.get_xdata()) for line in axes.lines}
    assert marks["transfer"] == [0.4, 0.5] and marks["fine-tuned"] == [pytest.approx(0.7)]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["transfer", "fine-tuned"]


def test_the_measures_that_differ_most_are_shown():
    manifest = pd.DataFrame({"label": ["a_a"] * 4 + ["b"] * 4, "width": 200, "height": 100})
    values = dict.fromkeys(NUMBERS, 1.0)
    values |= {"blur": [1, 2, 3, 4, 5, 6, 7, 8], "mean": [1, 2, 7, 8, 3, 4, 5, 6]}
    values |= {"border_mean": [1, 2, 3, 5, 4, 6, 7, 8]}
    figure = data_audit.measure_boxes(manifest, pd.DataFrame(values, index=range(8)), most=2)
    assert [axes.get_xlabel() for axes in figure.axes] == ["sharpness", "brightness of the border"]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["a a", "b"]
