"""Verdicts on tables with a planted truth, and on tables that cannot tell."""

import json

import numpy as np
import pandas as pd
import pytest
from pairs_material import (
    ARCHITECTURES,
    GRIDS,
    blank,
    observed,
    pairs_table,
    shortcut_table,
)

from lib.drift.priors import prior_table
from lib.hypotheses.observations import EMPTY, SAME_SEEDS, Observations
from lib.hypotheses.stated import load
from lib.hypotheses.verdicts import (
    blindness_verdict,
    evaluate,
    excess_verdict,
    identity_verdict,
    reversal_verdict,
)

RULES = load()
YES, NO, OPEN = "supported", "not supported", "inconclusive"
PRIORS = prior_table([5], width=0.25, shape=7, pairs=4000, seed=1)
CENTRE = PRIORS.query("prior == 'centre' and metric == 'centroid_displacement'")["mean"].item()


def h1(table):
    return excess_verdict("H1", RULES.H1, observed(table))


def h2(table, grids=GRIDS):
    return reversal_verdict("H2", RULES.H2, observed(table), grids)


def h3(table):
    return identity_verdict("H3", RULES.H3, observed(table), GRIDS)


def h4(table):
    return blindness_verdict("H4", RULES.H4, observed(table), GRIDS, PRIORS)


def h5(**changes):
    table = shortcut_table(**changes)
    return excess_verdict("H5", RULES.H5, observed(table))


@pytest.fixture(scope="module")
def plain():
    return pairs_table()


def copied(table, source, target, **where):
    """Replace the values of one pairing by those of another, film by film and seed by seed."""
    metrics = ["iou_top20", "centroid_displacement", "soft_iou"]
    table = table.copy()
    chosen = np.ones(len(table), bool)
    for key, value in where.items():
        chosen &= table[key] == value
    goal, origin = (chosen & (table["pairing"] == name) for name in (target, source))
    table.loc[goal, metrics] = table.loc[origin, metrics].to_numpy()
    return table


# H1 -------------------------------------------------------------------------------------------


def test_drift_beyond_placebo_and_seeds_is_supported(plain):
    found = h1(plain)
    assert found.verdict == YES and not found.reasons
    family = found.tables["family"]
    assert len(family) == 12 and family["above"].all()
    over = family.groupby("comparison")["estimate"].mean()
    assert over["placebo"] == pytest.approx(0.55, abs=0.02)
    assert over["finetune_seeds"] == pytest.approx(0.3, abs=0.02)
    assert family["margin"].to_numpy() == pytest.approx(0.25 * 0.3, abs=0.005)
    row = family.loc[family["p_above"].idxmax()]
    assert f"{row['estimate']:.3f} ({row['low']:.3f} to {row['high']:.3f})" in found.sentence
    assert "in all 6 cells" in found.sentence and "the seed floor" in found.sentence
    assert "p < 0.001" in found.sentence and "intervals: 95 %" in found.sentence
    assert "not estimated" not in found.sentence


def test_a_placebo_that_moves_as_much_refutes_it(plain):
    found = h1(copied(plain, "finetune", "placebo", architecture="resnet50v2"))
    assert found.verdict == NO
    assert "in 2 of 6 cells" in found.sentence and "ResNet50V2" in found.sentence
    assert "0.000 (0.000 to 0.000) against the placebo" in found.sentence
    assert "margin 0.07" in found.sentence


def test_drift_no_larger_than_between_seeds_refutes_it():
    found = h1(pairs_table(iou={(None, "gradcam", None, "finetune_seeds"): 0.4}))
    assert found.verdict == NO and "the seed floor in" in found.sentence


def test_an_excess_of_about_the_margin_is_left_open():
    # Floor drift 0.3, margin 0.075: an excess of the margin's size with a wide interval.
    table = pairs_table(noise=0.35, iou={(None, None, None, "finetune_seeds"): 0.46})
    found = h1(table)
    assert found.verdict == OPEN and not found.reasons
    assert "no cell refutes it" in found.sentence


def test_fine_tunings_that_differ_in_name_only_are_no_seeds(plain):
    table = plain.copy()
    table.loc[table["pairing"] == "finetune_seeds", ["iou_top20", "soft_iou"]] = 1.0
    found = h1(table)
    assert found.verdict == OPEN
    assert any(SAME_SEEDS in reason for reason in found.reasons)
    assert set(found.tables["family"]["margin"]) == {0.05}
    assert "no drift between seeds" in found.tables["family"]["margin_origin"].iloc[0]


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
    row = found.tables["family"].iloc[0]
    assert row["effect_a"] == pytest.approx(0.2, abs=0.02)
    assert row["effect_b"] == pytest.approx(-0.2, abs=0.02)
    assert row["interaction"] == pytest.approx(0.4, abs=0.03)
    assert "1 of 3 pairs" in found.sentence and "DenseNet201 less ResNet50V2" in found.sentence
    assert f"{row['effect_a']:.3f} (" in found.sentence and "with LayerCAM" in found.sentence


@pytest.mark.parametrize("gap", [0.0, 0.15])
def test_equal_or_equally_ordered_architectures_rule_a_reversal_out(gap):
    means = {(a, None, None, "finetune"): 0.3 + gap * n for n, a in enumerate(ARCHITECTURES)}
    found = h2(pairs_table(iou=means))
    assert found.verdict == NO and "ruled out in all 3 pairs" in found.sentence
    assert found.tables["family"]["p_ruled_out_adjusted"].max() <= 0.05


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


def test_an_architecture_whose_maps_are_all_blank_is_counted_and_not_judged():
    where = {"architecture": "resnet50v2", "method": "gradcam_plus_plus", "role": "auto_conv"}
    found = h2(blank(pairs_table(), **where))
    assert found.verdict == OPEN
    assert "200 of 200 pairs are blank" in " ".join(found.reasons)
    assert "in 1 a reversal beyond the margin is ruled out" in found.sentence
    assert found.seed_level == "estimated (5 seeds)" and "not estimated" not in found.sentence
    family = found.tables["family"].set_index(["first", "second"])
    assert family.loc[("densenet201", "resnet50v2"), "blank"] == 200
    assert np.isnan(family.loc[("densenet201", "resnet50v2"), "p_cross"])
    kept = family.loc[("densenet201", "inceptionv3")]
    assert kept["problem"] == "" and kept["p_ruled_out_adjusted"] <= 0.05
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["verdict"] == OPEN


def test_a_reversal_elsewhere_counts_although_one_architecture_is_blank():
    where = {"architecture": "inceptionv3", "method": "gradcam_plus_plus", "role": "auto_conv"}
    assert h2(blank(crossing(), **where)).verdict == YES


def test_unequal_grids_are_not_compared():
    found = h2(crossing(), GRIDS | {"densenet201": 7})
    assert found.verdict != YES
    assert "DenseNet201 and ResNet50V2 at auto_conv: grids are 7 and 5 cells" in found.reasons


# H3 -------------------------------------------------------------------------------------------


def test_the_same_map_gives_no_interaction(plain):
    found = h3(plain)
    assert found.verdict == YES
    assert "600 pairs of maps and differ by at most 0 in soft_iou" in found.sentence
    assert found.tables["family"]["interaction"].abs().max() < 1e-12


def at_pooled(table):
    chosen = (table["method"] == "gradcam_plus_plus") & (table["role"] == "post_activation")
    return chosen & (table["pairing"] == "finetune")


def test_rounding_and_a_broken_tie_do_not_refute_it(plain):
    table = plain.copy()
    chosen = at_pooled(table)
    table.loc[chosen, "soft_iou"] += 1e-6
    table.loc[np.flatnonzero(chosen)[3], "iou_top20"] += 0.25
    found = h3(table)
    assert found.verdict == YES and "differ by at most 1e-06" in found.sentence
    assert found.tables["exact"]["ties"].sum() == 1


def test_one_film_that_differs_refutes_an_exact_prediction(plain):
    table = plain.copy()
    table.loc[np.flatnonzero(at_pooled(table))[3], "soft_iou"] += 0.01
    found = h3(table)
    assert found.verdict == NO and "(1 beyond the tolerance 0.0001)" in found.sentence


def test_a_map_that_only_one_method_leaves_blank_refutes_it(plain):
    table = plain.copy()
    table.loc[np.flatnonzero(at_pooled(table))[3], ["iou_top20", "soft_iou"]] = np.nan
    found = h3(table)
    assert found.verdict == NO and "1 are blank under one method only" in found.sentence


def test_a_shown_interaction_refutes_it_and_a_vague_one_does_not(plain):
    table = plain.copy()
    dense = at_pooled(table) & (table["architecture"] == "densenet201")
    table.loc[dense, "iou_top20"] += 0.1
    assert h3(table).verdict == NO
    wide = plain.copy()
    generator = np.random.default_rng(0)
    wide.loc[at_pooled(wide), "iou_top20"] += generator.normal(0, 1, at_pooled(wide).sum())
    assert h3(wide).verdict == OPEN


# H4 -------------------------------------------------------------------------------------------


def test_a_shift_as_large_as_that_of_unrelated_maps_does_not_tell(plain):
    found = h4(plain)  # 0.06 against 0.10 (ceiling) and 0.02 (prior)
    assert found.verdict == YES
    family = found.tables["family"]
    assert family.groupby("comparison")["estimate"].mean()["prior"] == pytest.approx(
        CENTRE - 0.06, abs=0.003
    )
    assert "in all 6 cells the centroid shifts no less" in found.sentence
    assert "against the centre prior" in found.sentence


def test_a_shift_far_below_both_references_does_tell():
    shift = {(None, None, None, "finetune"): 0.004, (None, None, None, "finetune_seeds"): 0.004}
    found = h4(pairs_table(shift=shift))
    assert found.verdict == NO and "in 6 of 6 cells" in found.sentence


def test_a_shift_at_the_edge_of_the_margin_is_left_open():
    shift = {
        (None, None, None, "finetune"): CENTRE - 0.005,
        (None, None, None, "finetune_seeds"): 0.02,
    }
    found = h4(pairs_table(shift=shift))
    assert found.verdict == OPEN and not found.reasons


# H5 -------------------------------------------------------------------------------------------


def test_the_shortcut_experiment_decides_the_fifth():
    assert h5().verdict == YES
    found = h5(removed=0.1, kept=0.1)
    assert found.verdict == NO and "the runs that kept the shortcut" in found.sentence
    assert h5(seeds=2).verdict == OPEN
    absent = excess_verdict("H5", RULES.H5, None)
    assert absent.verdict == "not evaluated" and "tables/shortcut.csv" in absent.sentence


# Whole studies --------------------------------------------------------------------------------


def judged(table, **options):
    found = evaluate(RULES, observed(table), grids=GRIDS, priors=PRIORS, **options)
    return {verdict.name: verdict for verdict in found}


def test_one_seed_says_that_the_seed_level_is_not_estimated():
    found = judged(pairs_table(seeds=1))
    assert [v.verdict for v in found.values()] == [OPEN, OPEN, YES, OPEN, "not evaluated"]
    for name in ("H1", "H2", "H3", "H4"):
        assert "seed level not estimated, so nothing is said about other seeds" in (
            found[name].sentence
        )
    assert found["H1"].sentence.startswith("H1 is inconclusive: no comparison can be judged; not ")
    assert "finetune_seeds: 1 seed, at least 3 are needed (seed level not estimated)" in " ".join(
        found["H1"].reasons
    )


def test_two_seeds_have_a_floor_but_no_interval_for_it():
    found = judged(pairs_table(seeds=2))
    assert [v.verdict for v in found.values()][:4] == [OPEN, OPEN, YES, OPEN]
    assert any("2 seeds, at least 3 are needed" in reason for reason in found["H1"].reasons)
    family = found["H1"].tables["family"]
    assert set(family["margin_origin"]) == {"fallback (seed floor not estimable: 2 seeds)"}
    floor = family[family["comparison"] == "finetune_seeds"]
    assert floor["seed_level"].str.contains("not estimated").all()


def test_an_empty_common_support_leaves_everything_open_with_that_reason():
    found = judged(pairs_table(films=4).assign(common=False))
    for name in ("H1", "H2", "H3", "H4"):
        assert found[name].verdict == OPEN and found[name].reasons == (EMPTY,)
        assert EMPTY in found[name].sentence
        json.dumps(found[name].as_json(), allow_nan=False)


def test_few_films_are_counted():
    found = h1(pairs_table(films=12))
    assert found.verdict == OPEN
    assert "12 films of 6 patients can be compared, at least 20 films of 10" in found.reasons[0]


def test_a_study_of_one_architecture_has_no_pair():
    table = pairs_table(architectures=["resnet50v2"])
    found = evaluate(RULES, observed(table), grids={"resnet50v2": 5}, priors=PRIORS)
    assert [v.verdict for v in found][:4] == [YES, OPEN, OPEN, YES]
    assert "the study has 1 of its architectures, at least 2 are needed" in found[1].sentence


def test_a_method_that_was_not_computed_is_named(plain):
    found = h1(plain[plain["method"] != "gradcam"])
    assert found.verdict == OPEN
    assert any("the study has no such comparison" in reason for reason in found.reasons)


def test_the_order_of_rows_does_not_matter_and_verdicts_are_plain_json(plain):
    one = judged(plain, shortcut=observed(shortcut_table()))
    other = judged(plain.sample(frac=1, random_state=1), shortcut=observed(shortcut_table()))
    for name, verdict in one.items():
        text = json.dumps(verdict.as_json(), allow_nan=False)
        assert json.loads(text)["sentence"] == other[name].sentence == verdict.sentence
        assert verdict.sentence.startswith(f"{name} is {verdict.verdict}: ")
    assert [v.verdict for v in one.values()] == [YES, NO, YES, YES, YES]


@pytest.mark.parametrize("column", ["partner_id", "common"])
def test_a_missing_column_is_named(plain, column):
    with pytest.raises(ValueError, match=rf"expected also \['{column}'\]"):
        observed(plain.drop(columns=column))


def test_the_common_support_has_to_be_a_truth(plain):
    with pytest.raises(ValueError, match="found common of type"):
        Observations.from_tables(plain.assign(common="yes"), pd.Series(dtype=str))
