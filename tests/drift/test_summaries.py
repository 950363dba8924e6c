"""Known answers for the tables of drift metrics and the ranks of architectures."""

import io
import math

import numpy as np
import pandas as pd
import pytest

from lib.drift import summaries


@pytest.fixture
def pairs():
    rows = [
        ("ResNet50V2", "layercam", 0.2, 0.1, ""),
        ("ResNet50V2", "layercam", 0.4, 0.1, ""),
        ("ResNet50V2", "layercam", 0.9, 0.7, ""),
        ("ResNet50V2", "layercam", np.nan, np.nan, "b: all zero"),
        ("DenseNet201", "layercam", 0.6, 0.3, ""),
        ("ResNet50V2", "gradcam++", np.nan, np.nan, "a: all zero; b: all zero"),
        ("ResNet50V2", "gradcam++", np.nan, np.nan, "a: constant"),
    ]
    return pd.DataFrame(rows, columns=["architecture", "method", "iou_top20", "emd", "blank"])


def test_summary_by_hand(pairs):
    summary = summaries.summarise(pairs, ["architecture", "method"], metrics=["iou_top20", "emd"])
    rows = [
        ("DenseNet201", "layercam", "iou_top20", 1, 1.0, 0.6, np.nan, 0),
        ("DenseNet201", "layercam", "emd", 1, 1.0, 0.3, np.nan, 0),
        ("ResNet50V2", "gradcam++", "iou_top20", 0, 0.0, np.nan, np.nan, 2),
        ("ResNet50V2", "gradcam++", "emd", 0, 0.0, np.nan, np.nan, 2),
        ("ResNet50V2", "layercam", "iou_top20", 3, 3.0, 0.5, math.sqrt(0.13), 1),
        ("ResNet50V2", "layercam", "emd", 3, 3.0, 0.3, math.sqrt(0.12), 1),
    ]
    columns = ["architecture", "method", "metric", "n", "weight", "mean", "sd", "blank"]
    pd.testing.assert_frame_equal(summary, pd.DataFrame(rows, columns=columns))


def test_weights_move_the_mean_and_a_weight_of_nothing_takes_a_pair_out(pairs):
    weights = np.array([1, 3, 0, 1, 1, 1, 1])  # 0.2, 0.4; not 0.9, and a blank one
    table = summaries.summarise(pairs, ["architecture", "method"], metrics=["iou_top20"],
                                weights=weights)  # fmt: skip
    row = table[(table["architecture"] == "ResNet50V2") & (table["method"] == "layercam")].iloc[0]
    assert (row["n"], row["weight"], row["blank"]) == (2, 4, 1)
    assert row["mean"] == pytest.approx((0.2 + 3 * 0.4) / 4)


def test_summary_survives_a_round_trip_through_csv(pairs):
    again = pd.read_csv(io.StringIO(pairs.to_csv(index=False)))
    options = {"by": ["method"], "metrics": ["iou_top20", "emd"]}
    pd.testing.assert_frame_equal(
        summaries.summarise(again, **options), summaries.summarise(pairs, **options)
    )


def test_value_of_a_blank_pair_does_not_enter(pairs):
    pairs.loc[3, ["iou_top20", "emd"]] = 0  # as if the blank map had been scored
    summary = summaries.summarise(pairs[:4], ["method"], metrics=["emd"])
    assert summary[["n", "mean", "blank"]].to_numpy().tolist() == [[3, pytest.approx(0.3), 1]]


def test_summary_refuses_an_unexplained_nan(pairs):
    pairs.loc[0, "emd"] = np.nan
    with pytest.raises(ValueError, match=r"NaN in pairs that are not blank, \{'emd': 1\}"):
        summaries.summarise(pairs, ["method"], metrics=["iou_top20", "emd"])


def summary_of(metric, means):
    rows = [
        (architecture, method, "auto_conv", metric, mean)
        for method, values in means.items()
        for architecture, mean in values.items()
    ]
    return pd.DataFrame(rows, columns=["architecture", "method", "role", "metric", "mean"])


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("iou_top20", [1, 2, 3, 1.5, 1.5, np.nan]),
        ("pearson", [1, 2, 3, 1.5, 1.5, np.nan]),
        ("emd", [3, 2, 1, 1.5, 1.5, np.nan]),
        ("centroid_displacement", [3, 2, 1, 1.5, 1.5, np.nan]),
    ],
)
def test_ranks_by_hand(metric, expected):
    summary = summary_of(
        metric,
        {
            "layercam": {"DenseNet201": 0.8, "InceptionV3": 0.5, "ResNet50V2": 0.2},
            "gradcam++": {"DenseNet201": 0.4, "InceptionV3": 0.4, "ResNet50V2": np.nan},
        },
    )
    ranked = summaries.rank_architectures(summary, metric=metric)
    np.testing.assert_array_equal(ranked["rank"], expected)
    assert ranked["rank"].dtype == np.float64


def test_changes_rank_by_size_and_not_by_sign():
    means = {"layercam": {"DenseNet201": -0.3, "InceptionV3": 0.1, "ResNet50V2": -0.05}}
    ranked = summaries.rank_architectures(summary_of("gini_change", means), metric="gini_change")
    assert ranked["rank"].tolist() == [3, 2, 1]


def test_architecture_twice_in_a_group_is_refused():
    summary = pd.concat([summary_of("emd", {"layercam": {"DenseNet201": 0.1}})] * 2)
    with pytest.raises(ValueError, match=r"summary: found .*DenseNet201.* twice"):
        summaries.rank_architectures(summary, metric="emd")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: summaries.summarise(pd.DataFrame({"a": []}), ["b"]), "pairs: found columns.*'b'"),
        (
            lambda: summaries.rank_architectures(
                summary_of("emd", {"layercam": {"DenseNet201": 0.1}}), metric="ssim"
            ),
            r"metric: found 'ssim'; expected one of .*\['emd'\]",
        ),
    ],
)
def test_wrong_input_names_what_was_found_and_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_lost_maps_are_counted_and_score_zero():
    blank = ["", "", "b: all zero", "a: constant", "a: all zero; b: all zero"]
    where = {"architecture": "x", "method": "layercam", "role": "auto_conv", "pairing": "finetune"}
    pairs = pd.DataFrame({"image_id": list("abcde"), "blank": blank}).assign(
        iou_top20=[0.2, 0.6, np.nan, np.nan, np.nan], **where
    )
    labels = pd.Series(dict.fromkeys("abcde", "sick"))
    (row,) = summaries.transitions(pairs, labels).to_dict("records")
    assert row == where | {
        "label": "sick", "films": 5, "present": 2, "vanished": 1, "appeared": 1, "blank": 1,
        "iou_top20": pytest.approx(0.4), "iou_top20_lost_as_0": pytest.approx(0.2),
    }  # fmt: skip
    labels["a"] = "well"
    assert summaries.transitions(pairs, labels)["films"].tolist() == [1, 4]
