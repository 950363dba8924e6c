"""The published claims beside our measurements."""

import itertools

import pandas as pd
import pytest

from lib.figures.style import ARCHITECTURE
from lib.hypotheses.paper import BLANK, COLUMNS, NO, OPEN, YES, beside_the_paper

METHODS = ("layercam", "gradcam_plus_plus")


def tables(means, *, blank=None, auc=0.9, chance=1.0):
    """Performance, drift and ranks where the order of `means` is as sure as `chance`."""
    performance = pd.DataFrame(
        [(a, f"{stage}-s0", "test", area)
         for a in ARCHITECTURE for stage, area in (("transfer", 0.5), ("finetune", auc))],
        columns=["architecture", "checkpoint", "split", "macro_auc"],
    )  # fmt: skip
    drift = []
    for architecture, method in itertools.product(ARCHITECTURE, METHODS):
        count = (blank or {}).get((architecture, method), 0)
        for metric, pairing, value in (
            ("iou_top20", "finetune", means[method][architecture]),
            ("centroid_displacement", "finetune", 0.02),
            ("centroid_displacement", "ceiling", 0.04),
        ):
            drift.append((architecture, method, "auto_conv", pairing, metric, value, 60, count))
    names = ["architecture", "method", "role", "pairing", "metric", "mean", "n", "blank"]
    ranks = []
    for method in METHODS:
        order = sorted(means[method], key=means[method].get, reverse=True)
        for (place, architecture), rank in itertools.product(enumerate(order, 1), (1, 2, 3)):
            probability = chance if rank == place else (1 - chance) / 2
            ranks.append((method, "auto_conv", architecture, rank, probability))
    columns = ["method", "role", "architecture", "rank", "probability"]
    return performance, pd.DataFrame(drift, columns=names), pd.DataFrame(ranks, columns=columns)


AS_PUBLISHED = {
    "layercam": {"densenet201": 0.6, "resnet50v2": 0.4, "inceptionv3": 0.8},
    "gradcam_plus_plus": {"densenet201": 0.9, "resnet50v2": 0.5, "inceptionv3": 0.66},
}


def holds(*given, **verdicts):
    table = beside_the_paper(*given, verdicts)
    assert tuple(table.columns) == COLUMNS and (table["differs"] != "").all()
    return table.set_index("claim")["holds"].to_dict()


def test_a_study_like_the_published_one_agrees():
    found = holds(*tables(AS_PUBLISHED, auc=0.995), H2="supported", H4="supported")
    assert found == {
        "accuracy": YES, "coarse location": YES, "LayerCAM, highest": YES, "LayerCAM, lowest": YES,
        "Grad-CAM++, highest": YES, "InceptionV3 under Grad-CAM++": OPEN, "reversal": YES,
    }  # fmt: skip


def test_the_opposite_does_not():
    turned = dict(zip(METHODS, reversed(AS_PUBLISHED.values()), strict=True))
    found = holds(*tables(turned), H2="not supported", H4="not supported")
    assert found["LayerCAM, highest"] == found["Grad-CAM++, highest"] == NO
    assert found["accuracy"] == found["reversal"] == found["coarse location"] == NO
    assert found["InceptionV3 under Grad-CAM++"] == NO


def test_what_is_uncertain_is_not_shown():
    found = holds(*tables(AS_PUBLISHED, chance=0.8), H2="inconclusive", H4="inconclusive")
    assert {found[name] for name in found if name != "accuracy"} == {OPEN}


def test_blank_maps_and_missing_architectures_cannot_be_judged():
    blank = {("inceptionv3", "gradcam_plus_plus"): 58}
    table = beside_the_paper(*tables(AS_PUBLISHED, blank=blank), {}).set_index("claim")
    for claim in ("Grad-CAM++, highest", "InceptionV3 under Grad-CAM++"):
        assert table.loc[claim, "holds"] == BLANK
        assert "InceptionV3: 58 of 118 blank" in table.loc[claim, "measured"]
    assert table.loc["LayerCAM, highest", "holds"] == YES
    performance, drift, ranks = tables(AS_PUBLISHED)
    one = [table.query("architecture == 'resnet50v2'") for table in (performance, drift, ranks)]
    assert holds(*one)["LayerCAM, lowest"] == BLANK


@pytest.mark.parametrize("words", ["+", "-"])
def test_the_change_is_told_with_its_sign(words):
    means = {m: dict(v) for m, v in AS_PUBLISHED.items()}
    means["gradcam_plus_plus"]["inceptionv3"] = 1.0 if words == "+" else 0.6
    table = beside_the_paper(*tables(means), {}).set_index("claim")
    expected = "0.80 → 1.00, +25.0%" if words == "+" else "0.80 → 0.60, -25.0%"
    assert expected in table.loc["InceptionV3 under Grad-CAM++", "measured"]
