"""What a report shows of a study's tables: rows, numbers, marks and what the captions say."""

import pandas as pd
import pytest

from lib.hypotheses.answers import BLANK_SHARE
from lib.hypotheses.stated import load
from lib.report import intervals, marks, trust_tables, words
from lib.report.kinds import STUDY
from lib.report.page import TEMPLATES
from lib.report.tables import study_tables

PLACE = {"architecture": "resnet50v2", "method": "layercam", "role": "post_activation"}
NAMES = ("densenet201", "resnet50v2")


def rows(*values, **same):
    """A data frame of rows that share `same` and `PLACE`, unless they have it themselves."""
    return pd.DataFrame([PLACE | same | value for value in values])


def texts(table, *columns):
    places = [table.columns.index(column) for column in columns]
    return [[row[place].text for place in places] for row in table.rows]


def drift_table(blank=0):
    counts = {"metric": "iou_top20", "mean": 0.5, "n": 40 - blank, "blank": blank}
    return rows({"pairing": "finetune"} | counts, {"pairing": "placebo"} | counts | {"blank": 0})


def faithful_table(finding):
    numbers = {"films": 9, "excess": 0.1, "low": -0.1, "high": 0.3}
    return rows(numbers, checkpoint="finetune-s0", finding=finding)


def test_what_the_head_and_the_features_add_is_shown_at_the_pooled_map():
    interval = {"low": 0.1, "high": 0.3, "films": 9, "seeds": 3}
    table = rows(
        {"part": "head", "estimate": 0.2}, {"part": "features", "estimate": -0.1},
        {"part": "head_share", "estimate": 2.0},
        {"part": "head", "estimate": 0.7, "role": "stage4"}, **interval,
    )  # fmt: skip
    shown = study_tables({"head_and_features": table})["head_and_features"]
    assert texts(shown, "part", "estimate") == [
        ["added by the head", "0.200"], ["added by the features", "−0.100"],
        ["head’s share of the drift", "2.000"],
    ]  # fmt: skip
    assert shown.caption.startswith("Did the head move the evidence, or the features? Squared")


def test_metrics_are_held_against_the_primary_one_on_either_side_of_it():
    table = rows(
        {"metric_a": "iou_top20", "metric_b": "soft_iou", "rho": 0.8},
        {"metric_a": "iou_top20", "metric_b": "soft_iou", "rho": 0.4, "method": "gradcam"},
        {"metric_a": "pearson", "metric_b": "iou_top20", "rho": 0.25},
        {"metric_a": "pearson", "metric_b": "soft_iou", "rho": -1.0},
        {"metric_a": "iou_top20", "metric_b": "soft_iou", "rho": -1.0, "role": "stage4"},
    )
    shown = study_tables({"metric_agreement": table})["metric_agreement"]
    assert texts(shown, "mean", "lowest", "highest") == [["0.600", "0.400", "0.800"], ["0.250"] * 3]
    assert [row[0].value for row in shown.rows] == ["soft_iou", "pearson"]


def test_drift_stands_beside_the_change_of_confidence_by_size_and_sign():
    numbers = {"low": -0.2, "high": 0.4, "films": 9}
    table = rows(
        *({"target": target, "relation": relation, "rho": rho} | numbers
          for target, relation, rho in (("logit", "size", 0.1), ("logit", "signed", -0.3),
                                        ("probability", "size", 0.2),
                                        ("probability", "signed", 0.0))),
        {"target": "logit", "relation": "size", "rho": 0.9, "metric": "soft_iou"} | numbers,
        metric="unit_distance",
    )  # fmt: skip
    shown = study_tables({"confidence": table})["confidence"]
    assert texts(shown, "target", "rho", "low", "high", "films", "rho_signed") == [
        ["logit", "0.100", "−0.200", "0.400", "9", "−0.300"],
        ["probability", "0.200", "−0.200", "0.400", "9", "0.000"],
    ]


def test_c_scores_are_means_over_classes_and_seeds():
    table = rows(
        {"checkpoint": "transfer-s0", "c_score": 0.2},
        {"checkpoint": "transfer-s0", "c_score": 0.4},
        {"checkpoint": "finetune-s0", "c_score": 0.5},
        {"checkpoint": "finetune-s1", "c_score": 0.7},
        {"checkpoint": "finetune-s1", "c_score": 9.0, "role": "stage4"},
    )  # fmt: skip
    shown = study_tables({"consistency": table})["consistency"]
    assert texts(shown, "transfer", "finetune", "change") == [["0.300", "0.600", "0.300"]]


def supports_table(common):
    """R of two networks on three supports; `common` is that of the second on the common one."""
    told = {"own": (0.2, 0.4), "common": (0.3, common), "all": (0.25, 0.35)}
    return rows(
        *({"support": support, "architecture": name, "estimate": value}
          for support, values in told.items() for name, value in zip(NAMES, values, strict=True)),
        {"support": "own", "estimate": 9.0, "role": "stage4"},
        metric="iou_top20", low=0.1, high=0.5, films=12,
    )  # fmt: skip


def test_supports_say_what_changes_with_the_films_and_whether_the_order_does():
    shown = study_tables({"supports": supports_table(0.25)})["supports"]
    assert texts(shown, "architecture", "estimate", "change") == [
        ["DenseNet201", "0.200", "–"], ["DenseNet201", "0.300", "0.100"],
        ["DenseNet201", "0.250", "0.050"],
        ["ResNet50V2", "0.400", "–"], ["ResNet50V2", "0.250", "−0.150"],
        ["ResNet50V2", "0.350", "−0.050"],
    ]  # fmt: skip
    assert shown.caption.endswith(
        " R of LayerCAM changes by −0.15 to 0.10 on those of every network (another order) and by "
        "−0.05 to 0.05 on all films (the same order of networks)."
    )
    kept = study_tables({"supports": supports_table(0.5)})["supports"].caption
    assert "by 0.10 on those of every network (the same order of networks)" in kept


def test_a_study_without_these_tables_shows_nothing_of_them():
    told = study_tables({"drift": drift_table()})
    assert set(told) == {"drift", "metrics"}
    assert "mark" not in told["drift"].columns and "†" not in told["drift"].caption
    named = {"head_and_features": [], "metric_agreement": [], "evidence": [], "supports": []}
    empty = {name: pd.DataFrame(columns=["role", "metric"]) for name in named}
    assert set(study_tables({"drift": drift_table()} | empty)) == {"drift", "metrics"}


def test_every_figure_and_table_of_a_study_has_a_place_in_its_page():
    page = (TEMPLATES / "index.html.j2").read_text(encoding="utf-8")
    for name in set(STUDY.figures) - {"answer", "moved"}:  # these may lead the page
        assert f'figure("{name}")' in page, name
    for name in ("drift", *trust_tables.MAKERS):
        assert f'maybe("{name}")' in page, name


def test_lost_maps_stand_as_zero_beside_the_scored_pairs():
    counts = {"films": 10, "present": 8, "vanished": 2, "appeared": 0, "blank": 0}
    lost = rows(
        {"label": "a", "iou_top20": 0.5, "iou_top20_lost_as_0": 0.4},
        {"label": "b", "iou_top20": 0.25, "iou_top20_lost_as_0": 0.2}, pairing="finetune", **counts,
    )  # fmt: skip
    shown = study_tables({"drift": drift_table(), "transitions": lost})["drift"]
    assert texts(shown, "all_films", "lost_as_0") == [["0.375", "0.300"]]
    assert "with 0 for a map that vanished or appeared" in shown.caption
    assert "all_films" not in study_tables({"drift": drift_table()})["drift"].columns


@pytest.mark.parametrize(
    ("finding", "blank", "mark"),
    [("more than random", 8, ""), ("not shown", 8, "†"), ("more than random", 9, "∅"),
     ("not shown", 9, "† ∅")],
)  # fmt: skip
def test_marks_stand_in_every_table_of_these_maps(finding, blank, mark):
    """8 of 40 blank pairs are the share that a rule allows, 9 are more."""
    supports = supports_table(0.25).query("role == 'post_activation'")
    tables = {"drift": drift_table(blank), "faithfulness": faithful_table(finding)}
    shown = study_tables(tables | {"supports": supports, "metrics": None})
    for name in ("drift", "metrics", "supports"):
        columns = shown[name].columns
        assert ("mark" in columns) == bool(mark)
        if mark:
            own = {"resnet50v2": mark, "densenet201": ""}
            found = [(row[0].value, row[columns.index("mark")].text) for row in shown[name].rows]
            assert found == [(name, own[name]) for name, _ in found]
        for sign in "†∅":
            assert (f"{sign}: " in shown[name].caption) == (sign in mark)


def test_the_share_of_blank_pairs_is_that_of_every_rule():
    assert {rule.minimum.blank_share for rule in load().rules.values()} == {BLANK_SHARE}


def test_a_method_without_maps_is_said_to_be_undefined_there():
    lost = rows(
        {"label": "a", "vanished": 2, "appeared": 0, "blank": 1},
        {"label": "b", "vanished": 2, "appeared": 2, "blank": 0}, pairing="finetune", films=10,
        iou_top20=0.5, iou_top20_lost_as_0=0.25,
    )  # fmt: skip
    tables = {"drift": drift_table(9), "transitions": lost}
    told = marks.undefined_sentence(tables)
    assert told == (
        "A method that is blank for more than 20\u00a0% of the pairs is undefined there, so "
        "nothing is said of its drift: ResNet50V2 with LayerCAM at the pooled map (9 of 40 pairs "
        "of maps are blank; over all test films 20\u00a0% vanished, 10\u00a0% appeared and "
        "5\u00a0% were blank before and after)."
    )
    assert told in words.answer(tables, None)
    assert marks.undefined_sentence({"drift": drift_table(8)}) == ""
    many = pd.concat([drift_table(9).assign(role=f"layer {n}") for n in range(5)])
    assert "and 2 more, which have ∅" in marks.undefined_sentence({"drift": many})
    moved = rows({"part": "way_to_unrelated", "estimate": 0.5, "low": 0.4, "high": 0.6},
                 {"part": "way_to_unrelated", "estimate": 0.7, "low": 0.4, "high": 0.8,
                  "architecture": "densenet201"})  # fmt: skip
    headline = words.headline({"decomposition": moved} | tables, None)
    assert "maps an undefined part (ResNet50V2) and 70\u00a0% (DenseNet201) of the way" in headline
    why = "undefined where 9 of 40 pairs of maps are blank (ResNet50V2)."
    assert why in words.moved_sentences({"decomposition": moved} | tables, None)


def test_the_second_reference_stands_apart_from_the_one_that_decides():
    row = {"metric": "centroid_displacement", "sd": 0.01}
    prior = [row | {"grid": grid, "prior": name, "mean": mean} for grid, name, mean in (
        (5, "uniform", 0.0266), (5, "centre", 0.0201), (8, "uniform", 0.02), (8, "centre", 0.01),
    )]  # fmt: skip
    assert intervals.second_reference({"prior": prior}) == (
        "A second reference stands apart and decides nothing, as its width is a choice: the "
        "centroid displacement (share of the diagonal) of two maps that share nothing else is "
        "0.020 with a preference for the centre and 0.027 without one (5 × 5 squares) and 0.010 "
        "with a preference for the centre and 0.020 without one (8 × 8 squares)."
    )
    assert intervals.second_reference({"prior": []}) == intervals.second_reference({}) == ""


def test_the_first_page_says_whose_maps_are_not_shown_to_be_faithful():
    told = marks.faithful_sentence({"faithfulness": faithful_table("not shown")})
    assert told == "The maps of ResNet50V2 are not shown to be more faithful than random ones."
    for table in (faithful_table("more than random"), faithful_table("not shown")[:0]):
        assert marks.faithful_sentence({"faithfulness": table}) == ""
    elsewhere = faithful_table("not shown").assign(role="stage4")
    assert marks.faithful_sentence({"faithfulness": elsewhere}) == ""
