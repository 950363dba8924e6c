"""Verdicts on tables with a planted truth, and on tables that cannot tell."""

import json

import numpy as np
import pandas as pd
import pytest
from pairs_material import (
    ARCHITECTURES,
    GRIDS,
    ROLES,
    agreement_table,
    blank,
    gains_table,
    observed,
    pairs_table,
    shortcut_table,
)

from lib.drift.priors import prior_table
from lib.hypotheses.answers import without_seeds
from lib.hypotheses.families import alpha_of
from lib.hypotheses.observations import EMPTY, SAME_SEEDS, Observations
from lib.hypotheses.stated import load
from lib.hypotheses.verdicts import evaluate, judge

RULES = load()
YES, NO, OPEN, UNDEFINED = "supported", "not supported", "inconclusive", "undefined"
PRIORS = prior_table([5], width=0.25, shape=7, pairs=4000, seed=1)
EVERY = (*ROLES, "stage4")


def answered(name, table=None, grids=GRIDS, **tables):
    given = {"pairs": observed(table) if table is not None else None}
    given |= {key: observed(each) for key, each in tables.items()}
    return judge(name, RULES.rules[name], given, grids=grids, priors=PRIORS)


def h1(table, **agreement):
    return answered("H1", table, seed_agreement=agreement_table(**agreement))


def h2(table, grids=GRIDS):
    return answered("H2", table, grids)


def h3(table):
    return answered("H3", table)


def h4(table):
    return answered("H4", table)


@pytest.fixture(scope="module")
def plain():
    return pairs_table(roles=EVERY)


# H1 -------------------------------------------------------------------------------------------


def test_drift_beyond_the_placebo_that_seeds_share_is_supported(plain):
    found = h1(plain)
    assert found.verdict == YES and not found.reasons
    family = found.tables["family"]
    assert len(family) == 3 * 2 * 2 * 2 and family["shown"].all() and not family["refuted"].any()
    means = family.groupby("statement")[["estimate", "threshold"]].mean()
    # Planted: distance 0.4 of fine-tuning, 0.02 of the placebo, 0.8 of unrelated films.
    assert means.loc["drift"].to_list() == pytest.approx([0.38, 0.05 * 0.78], abs=0.01)
    assert means.loc["agreement"].to_list() == pytest.approx([0.6, 0.1], abs=0.01)
    row = family.loc[family["p_shown"].idxmax()]
    assert f"{row['estimate']:.3f} ({row['low']:.3f} to {row['high']:.3f})" in found.sentence
    assert "in all 12 comparisons fine-tuning moves the evidence" in found.sentence
    assert "p < 0.001" in found.sentence and "intervals: 95 %" in found.sentence
    assert "not estimated" not in found.sentence


def test_a_placebo_that_moves_as_much_refutes_it():
    planted = {("resnet50v2", None, None, "placebo"): 0.4}
    found = h1(pairs_table(roles=EVERY, distance=planted))
    assert found.verdict == NO
    assert "in 4 of 12 comparisons it is not so that fine-tuning moves" in found.sentence
    assert "clearest: drift beyond the placebo" in found.sentence
    assert "ResNet50V2" in found.sentence


def test_seeds_that_wander_independently_refute_it(plain):
    found = h1(plain, partial={name: 0.0 for name in ARCHITECTURES})
    assert found.verdict == NO and "partial agreement of two seeds" in found.sentence
    one = h1(plain, partial={"densenet201": 0.6, "resnet50v2": 0.0, "inceptionv3": 0.6})
    assert one.verdict == NO and "in 4 of 12 comparisons" in one.sentence


def test_a_drift_of_about_the_threshold_is_left_open():
    edge = {(None, None, None, "finetune"): 0.02 + 0.05 * 0.78}
    found = h1(pairs_table(roles=EVERY, distance=edge, noise=0.3))
    assert found.verdict == OPEN and not found.reasons
    assert "in 0 of 12 comparisons it is shown that fine-tuning" in found.sentence
    assert "no comparison refutes it" in found.sentence


def test_one_cell_at_the_threshold_leaves_the_whole_open(plain):
    """All cells have to show it, however sure the others are."""
    edge = {("densenet201", "gradcam", "stage4", "finetune"): 0.02 + 0.05 * 0.78}
    found = h1(pairs_table(roles=EVERY, distance=edge))
    assert found.verdict == OPEN and "in 11 of 12 comparisons" in found.sentence


def test_a_method_without_maps_is_named_and_leaves_the_family(plain):
    where = {"architecture": "resnet50v2", "method": "gradcam", "role": "stage4"}
    found = h1(blank(plain.copy(), **where))
    assert found.verdict == YES and "in all 11 comparisons" in found.sentence
    assert "no map, so no answer, in: ResNet50V2 with Grad-CAM at stage4" in found.sentence
    assert "200 of 200 pairs are blank" in found.sentence
    family = found.tables["family"]
    dead = family[family["undefined"] != ""]
    assert len(dead) == 2 and dead["p_shown"].isna().all() and not dead["shown"].any()


def test_without_any_map_the_answer_is_undefined(plain):
    found = h1(plain.assign(unit_distance=np.nan))
    assert found.verdict == UNDEFINED and "no map, so no answer, in: " in found.sentence
    assert "no comparison can be judged" not in found.sentence
    json.dumps(found.as_json(), allow_nan=False)


def test_fine_tunings_that_differ_in_name_only_are_no_seeds(plain):
    table = plain.copy()
    table.loc[table["pairing"] == "finetune_seeds", "unit_distance"] = 0.0
    found = h1(table)
    assert found.verdict == OPEN
    assert any(SAME_SEEDS in reason for reason in found.reasons)


def test_films_paired_with_others_are_refused(plain):
    table = plain.copy()
    placebo = table["pairing"] == "placebo"
    table.loc[placebo, "partner_id"] = np.roll(table.loc[placebo, "partner_id"], 1)
    with pytest.raises(ValueError, match=r"paired with .* in 'placebo' .*expected the same film"):
        observed(table)
    same = plain.assign(partner_id=plain["image_id"])
    with pytest.raises(ValueError, match="in 'ceiling'"):
        observed(same)


# H2 -------------------------------------------------------------------------------------------


def crossing(low=0.3, high=0.5):
    cell = {
        ("densenet201", "layercam", "auto_conv", "finetune"): high,
        ("densenet201", "gradcam_plus_plus", "auto_conv", "finetune"): low,
        ("resnet50v2", "layercam", "auto_conv", "finetune"): low,
        ("resnet50v2", "gradcam_plus_plus", "auto_conv", "finetune"): high,
        ("inceptionv3", None, "auto_conv", "finetune"): 0.1,
    }
    return pairs_table(iou=cell)


def test_a_planted_reversal_is_found():
    found = h2(crossing())
    assert found.verdict == YES
    row = found.tables["family"].iloc[0]  # soft_iou is 0.8 of the planted overlap
    assert row["effect_a"] == pytest.approx(0.16, abs=0.02)
    assert row["effect_b"] == pytest.approx(-0.16, abs=0.02)
    assert row["interaction"] == pytest.approx(0.32, abs=0.03)
    assert row["margin"] == pytest.approx(0.05 * 0.8 * 0.75, abs=0.002)
    assert "1 of 3 pairs" in found.sentence and "DenseNet201 less ResNet50V2" in found.sentence
    assert f"{row['effect_a']:.3f} (" in found.sentence and "with LayerCAM" in found.sentence


@pytest.mark.parametrize("gap", [0.0, 0.15])
def test_equal_or_equally_ordered_architectures_rule_a_reversal_out(gap):
    means = {(a, None, None, "finetune"): 0.3 + gap * n for n, a in enumerate(ARCHITECTURES)}
    found = h2(pairs_table(iou=means))
    assert found.verdict == NO and "ruled out in all 3 pairs" in found.sentence
    assert found.tables["family"]["p_ruled_out"].max() <= 0.02


def test_estimates_that_cross_within_their_intervals_are_no_reversal():
    noisy = {"densenet201": (0.45, 0.35), "resnet50v2": (0.35, 0.45)}
    means = {
        (name, method, "auto_conv", "finetune"): mean
        for name, both in noisy.items()
        for method, mean in zip(("layercam", "gradcam_plus_plus"), both, strict=True)
    }
    found = h2(pairs_table(noise=0.6, iou=means))
    assert found.verdict == OPEN and not found.reasons
    assert "no pair of 3" in found.sentence


DEAD = {"architecture": "resnet50v2", "method": "gradcam_plus_plus", "role": "auto_conv"}


def test_an_architecture_whose_maps_are_all_blank_is_named_and_the_others_decide():
    found = h2(blank(pairs_table(), **DEAD))
    assert found.verdict == NO and "ruled out in the one pair" in found.sentence
    assert "200 of 200 pairs are blank" in found.sentence
    assert found.seed_level == "estimated (5 seeds)" and "not estimated" not in found.sentence
    family = found.tables["family"].set_index(["first", "second"])
    assert family.loc[("densenet201", "resnet50v2"), "blank"] == 200
    assert np.isnan(family.loc[("densenet201", "resnet50v2"), "p_cross"])
    kept = family.loc[("densenet201", "inceptionv3")]
    assert kept["undefined"] == "" and kept["p_ruled_out"] <= 0.02
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["verdict"] == NO


def test_a_question_about_maps_that_are_not_there_is_undefined():
    table = pairs_table()
    for name in ARCHITECTURES[:2]:
        table = blank(table, **DEAD | {"architecture": name})
    found = h2(table)
    assert found.verdict == UNDEFINED and found.sentence.startswith("H2 is undefined: no map, so")


def test_a_reversal_elsewhere_counts_although_one_architecture_is_blank():
    assert h2(blank(crossing(), **DEAD | {"architecture": "inceptionv3"})).verdict == YES


def test_unequal_grids_are_not_compared():
    found = h2(crossing(), GRIDS | {"densenet201": 7})
    assert found.verdict != YES
    reason = "DenseNet201 and ResNet50V2 at auto_conv: grids are 7 and 5 squares wide"
    assert reason in found.reasons


# H3 -------------------------------------------------------------------------------------------


def test_the_same_map_is_supported(plain):
    found = h3(plain)
    assert found.verdict == YES
    assert "600 pairs of maps and differ by at most 0 in soft_iou" in found.sentence


def at_pooled(table):
    chosen = (table["method"] == "gradcam_plus_plus") & (table["role"] == "post_activation")
    return chosen & (table["pairing"] == "finetune")


def test_rounding_does_not_refute_it_and_one_film_that_differs_does(plain):
    table = plain.copy()
    table.loc[at_pooled(table), "soft_iou"] += 1e-6
    found = h3(table)
    assert found.verdict == YES and "differ by at most 1e-06" in found.sentence
    table.loc[np.flatnonzero(at_pooled(table))[3], "soft_iou"] += 0.01
    found = h3(table)
    assert found.verdict == NO and "(1 beyond the tolerance 0.0001)" in found.sentence


def test_a_map_that_only_one_method_leaves_blank_refutes_it(plain):
    table = plain.copy()
    table.loc[np.flatnonzero(at_pooled(table))[3], ["iou_top20", "soft_iou"]] = np.nan
    found = h3(table)
    assert found.verdict == NO and "1 are blank under one method only" in found.sentence


@pytest.mark.parametrize(("count", "expected"), [(40, YES), (41, UNDEFINED)])
def test_an_identity_of_methods_without_maps_is_undefined(plain, count, expected):
    """40 of 200 blank pairs are the share that the rule allows, 41 are more."""
    table = plain[plain["architecture"] == "resnet50v2"].copy()
    both = (table["role"] == "post_activation") & (table["pairing"] == "finetune")
    for method in ("layercam", "gradcam_plus_plus"):
        chosen = np.flatnonzero(both & (table["method"] == method))[:count]
        table.iloc[chosen, table.columns.get_loc("soft_iou")] = np.nan
    rule = RULES.H3.model_copy(update={"architectures": ("resnet50v2",)})
    found = judge("H3", rule, {"pairs": observed(table)}, grids=GRIDS, priors=PRIORS)
    assert found.verdict == expected
    told = "no map, so no answer, in: ResNet50V2 with LayerCAM at post_activation, finetune: 41 of"
    assert (told in found.sentence) == (expected == UNDEFINED)
    # A film that differs refutes an exact prediction, however many others have no map.
    table.iloc[np.flatnonzero(at_pooled(table))[-1], table.columns.get_loc("soft_iou")] += 0.01
    found = judge("H3", rule, {"pairs": observed(table)}, grids=GRIDS, priors=PRIORS)
    assert found.verdict == NO and "no map" not in found.sentence


# H4 -------------------------------------------------------------------------------------------


def test_a_shift_beyond_half_the_way_to_unrelated_films_refutes_it(plain):
    found = h4(plain)  # 0.06 between 0.005 (placebo) and 0.10 (unrelated)
    assert found.verdict == NO and "in 6 of 6 comparisons it is not so" in found.sentence
    family = found.tables["family"]
    assert family["threshold"].mean() == pytest.approx(0.5 * 0.095, abs=0.001)
    beside = found.tables["prior"]
    assert set(beside["metric"]) == {"centroid_displacement"}
    assert set(beside["prior"]) == {"centre", "uniform"}


def test_a_small_shift_is_supported_and_one_at_the_edge_left_open():
    found = h4(pairs_table(shift={(None, None, None, "finetune"): 0.03}))
    assert found.verdict == YES and "stays nearer than that of unrelated films" in found.sentence
    edge = h4(pairs_table(noise=0.2, shift={(None, None, None, "finetune"): 0.005 + 0.085 / 2}))
    assert edge.verdict == OPEN and not edge.reasons


# H5 and H6 ------------------------------------------------------------------------------------


def h5(**changes):
    return answered("H5", shortcut=shortcut_table(**changes))


def test_the_shortcut_experiment_decides_the_fifth():
    assert h5().verdict == YES
    found = h5(removed=0.1, kept=0.1)
    assert found.verdict == NO and "the runs that kept the shortcut" in found.sentence
    assert h5(seeds=2).verdict == OPEN
    absent = answered("H5")
    assert absent.verdict == "not evaluated" and "tables/shortcut.csv" in absent.sentence


@pytest.mark.parametrize(
    ("gain", "placebo", "expected"), [(0.05, 0, YES), (0.05, 0.05, NO), (-0.05, 0, NO)]
)
def test_evidence_has_to_move_onto_the_lesion_more_than_with_the_placebo(gain, placebo, expected):
    table = gains_table({"finetune": gain, "placebo": placebo})
    assert answered("H6", lesion_gain=table).verdict == expected
    assert answered("H6").verdict == "not evaluated"


# Whole studies --------------------------------------------------------------------------------


def judged(table, seeds=5, **tables):
    given = {"seed_agreement": agreement_table(seeds=seeds)} if seeds > 1 else {}
    given |= {"lesion_gain": gains_table({"finetune": 0.05, "placebo": 0}, seeds=seeds)} | tables
    given = {"pairs": observed(table)} | {name: observed(each) for name, each in given.items()}
    return {v.name: v for v in evaluate(RULES, given, grids=GRIDS, priors=PRIORS)}


@pytest.mark.parametrize("seeds", [1, 2, 4])
def test_a_number_of_seeds_that_is_no_planned_look_is_not_judged(seeds):
    found = judged(pairs_table(roles=EVERY, seeds=seeds), seeds)
    verdicts = [v.verdict for v in found.values()]
    assert verdicts == [OPEN, OPEN, YES, OPEN, "not evaluated", OPEN]
    plural = "s" * (seeds > 1)
    reason = f"{seeds} fine-tuning seed{plural}: looks are planned at 3, 5, 8 or 12"
    for name in ("H1", "H2", "H4", "H6"):
        assert found[name].reasons == (reason,)
        assert f"no comparison can be judged; not judged: {reason}" in found[name].sentence
        if seeds == 1:
            assert "seed level not estimated" in found[name].sentence


@pytest.mark.parametrize("seeds", [3, 5])
def test_every_look_spends_its_share_of_the_error(seeds):
    table = observed(pairs_table(seeds=seeds, films=4))
    fewer = RULES.H1.model_copy(update={"looks": {3: 0.03, 5: 0.01}})
    assert alpha_of(fewer, table) == ({3: 0.03, 5: 0.01}[seeds], "")
    assert alpha_of(RULES.H3, table) == (0.05, "")


def test_the_verdict_without_each_seed_stands_beside_it(plain):
    found = judged(plain)["H1"]
    assert found.without == dict.fromkeys(range(5), YES)
    assert found.sentence.endswith("; the same without any one seed.")
    assert found.as_json()["without_seed"] == {str(n): YES for n in range(5)}


def test_the_verdicts_without_each_seed_are_counted(plain):
    found = judged(plain, shortcut=shortcut_table())
    answers = {name: verdict.as_json() for name, verdict in found.items()}
    assert all(len(verdict.without) == 5 for verdict in found.values()), "also where none is a look"
    assert without_seeds(answers).startswith(
        "Reached anew without each seed in turn, 30 of 30 verdicts are the same: H1 5 of 5; H2 5"
    )
    hangs = {"H1": {"verdict": YES, "without_seed": {"0": YES, "1": OPEN, "2": NO}}}
    assert without_seeds(hangs) == (
        "Reached anew without each seed in turn, 1 of 3 verdicts are the same: H1 1 of 3 "
        "(inconclusive without seed 1, not supported without seed 2)."
    )
    assert "fewer than four seeds" in without_seeds({"H1": {"verdict": YES, "without_seed": {}}})
    assert without_seeds({"H1": {"verdict": YES}}) == "" == without_seeds({})
    assert judged(plain)["H5"].without == {}, "what was not evaluated has no verdict to lose"


def test_a_verdict_that_hangs_on_one_seed_says_so(plain):
    """One seed moves far, the others not at all: without it that is shown."""
    table = plain.copy()
    tuned = (table["pairing"] == "finetune") & (table["architecture"] == "resnet50v2")
    table.loc[tuned, "unit_distance"] = 0.02 + 0.05 * (table["unit_distance"][tuned] - 0.4)
    table.loc[tuned & (table["after"] == "finetune-s2"), "unit_distance"] = 0.9
    found = judged(table)["H1"]
    assert found.verdict == OPEN
    assert found.without == {0: OPEN, 1: OPEN, 2: NO, 3: OPEN, 4: OPEN}
    assert found.sentence.endswith("; not supported without seed 2.")


def test_an_empty_support_leaves_everything_open_with_that_reason():
    none = pairs_table(films=4).assign(common=False)
    found = judged(none)
    for name in ("H2", "H4"):
        assert found[name].verdict == OPEN and EMPTY in found[name].reasons
        assert EMPTY in " ".join(found[name].reasons)
        json.dumps(found[name].as_json(), allow_nan=False)
    assert found["H3"].verdict == OPEN and EMPTY in found["H3"].sentence


def test_few_films_are_counted(plain):
    found = h4(pairs_table(films=12))
    assert found.verdict == OPEN
    assert "12 films of 6 patients can be compared, at least 20 films of 10" in found.reasons[0]


def test_a_study_of_one_architecture_has_no_pair():
    table = pairs_table(architectures=["resnet50v2"])
    found = h2(table, {"resnet50v2": 5})
    assert found.verdict == OPEN  # its rule names three, of which the table has one
    given = {"pairs": observed(table)}
    found = evaluate(RULES, given, grids={"resnet50v2": 5}, priors=PRIORS)
    assert "the study has 1 of its architectures, at least 2 are needed" in found[1].sentence


def test_a_method_that_was_not_computed_is_named(plain):
    found = h1(plain[plain["method"] != "gradcam"])
    assert found.verdict == OPEN
    assert any("the study has no such comparison" in reason for reason in found.reasons)


def test_the_order_of_rows_does_not_matter_and_verdicts_are_plain_json(plain):
    one = judged(plain, shortcut=shortcut_table())
    other = judged(plain.sample(frac=1, random_state=1), shortcut=shortcut_table())
    for name, verdict in one.items():
        text = json.dumps(verdict.as_json(), allow_nan=False)
        assert json.loads(text)["sentence"] == other[name].sentence == verdict.sentence
        assert verdict.sentence.startswith(f"{name} is {verdict.verdict}: ")
    assert [v.verdict for v in one.values()] == [YES, NO, YES, NO, YES, YES]


@pytest.mark.parametrize("column", ["partner_id", "common"])
def test_a_missing_column_is_named(plain, column):
    with pytest.raises(ValueError, match=rf"expected also \['{column}'\]"):
        observed(plain.drop(columns=column))


def test_the_common_support_has_to_be_a_truth(plain):
    with pytest.raises(ValueError, match="found common of type"):
        Observations.from_tables(plain.assign(common="yes"), pd.Series(dtype=str))
