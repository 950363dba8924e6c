"""Known answers for crossed cells, their intervals and tests, the bootstrap and the ranks."""

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from crossed_material import Studies, patients_of
from scipy import stats

from lib.inference import bootstrap, contrasts, crossed, decisions
from lib.inference.contrasts import Estimate
from lib.inference.crossed import Cell, CrossedCells


def one_cell(scores, patients=None, seeds=None, group="a"):
    scores = np.asarray(scores, dtype=float)
    patients = np.arange(scores.shape[-1]) if patients is None else patients
    seeds = range(scores.shape[-2]) if seeds is None else seeds
    return CrossedCells({"x": Cell(scores, list(seeds), group)}, patients)


def mean_of(cells, name="x"):
    return contrasts.contrast(cells, {name: 1})


def estimate_of(value, se, df):
    return Estimate(value, se, df, "estimated (5 seeds)", se, 0.0)


def study(*, seed=0, blank=0.0, seeds=4):
    """One data set with unequal patients, two architectures and a seed floor."""
    made = Studies(1, seeds=seeds, films=40, spread=0.03, seed=seed)
    for architecture in "AB":
        for name, mean in (("m1", 0.5), ("m2", 0.4)):
            made.add(architecture, name, mean, blank=blank)
        made.add(architecture, "floor", 0.6, pairs=True, blank=blank)
    cells = {name: Cell(c.scores[0], c.seeds, c.group) for name, c in made.cells.items()}
    return CrossedCells(cells, made.patients)


# The interval against closed forms


def test_two_seeds_and_two_patients_by_hand():
    # Mean 4; mean squares 36 (seeds), 16 (patients) and 4 (residual) on one degree of freedom each.
    found = mean_of(one_cell([[0, 2], [4, 10]]))
    assert found.estimate == 4
    assert found.se**2 == pytest.approx((36 + 16 - 4) / 4)
    assert found.df == 1  # whatever the shares: both levels have 1
    assert found.se_patients**2 == pytest.approx(4)
    assert found.se_seeds**2 == pytest.approx(9 - 1)
    # t of 1 degree of freedom is tan: P(T > t) = 1/2 - atan(t) / pi.
    sure = Estimate(4.0, 2.0, 1.0, "", 2.0, 0.0)
    assert sure.p_value() == pytest.approx(1 - 2 * math.atan(2) / math.pi)
    assert sure.interval()[1] == pytest.approx(4 + 2 * math.tan(0.95 * math.pi / 2))


def test_analysis_of_variance_of_a_balanced_table():
    table = np.random.default_rng(1).normal(size=(5, 30))
    table += np.random.default_rng(2).normal(size=30)
    table += np.linspace(-0.3, 0.3, 5)[:, None]
    s, p = table.shape
    rows, columns, grand = table.mean(axis=1), table.mean(axis=0), table.mean()
    ms_seeds = p * sum((row - grand) ** 2 for row in rows) / (s - 1)
    ms_patients = s * sum((column - grand) ** 2 for column in columns) / (p - 1)
    ms_both = sum(
        (table[i, j] - rows[i] - columns[j] + grand) ** 2 for i in range(s) for j in range(p)
    ) / ((s - 1) * (p - 1))
    assert ms_seeds > ms_both
    variance = (ms_seeds + ms_patients - ms_both) / (s * p)
    share = ms_seeds / (ms_seeds + ms_patients - ms_both)
    df = 1 / (share / (s - 1) + (1 - share) / (p - 1))
    assert 0.1 < share < 0.9
    found = mean_of(one_cell(table))
    np.testing.assert_allclose([found.se**2, found.df], [variance, df], rtol=1e-12)
    assert found.seed_level == "estimated (5 seeds)"


def test_one_seed_is_the_t_test_over_patients_and_says_so():
    scores = np.random.default_rng(3).normal(0.3, 1, size=(1, 25))
    expected = stats.ttest_1samp(scores[0], 0)
    found = mean_of(one_cell(scores))
    assert found.seed_level == "not estimated (1 seed)"
    assert np.isnan(found.se_seeds)
    assert found.p_value() == pytest.approx(expected.pvalue)
    assert found.interval() == pytest.approx(tuple(expected.confidence_interval()))


@pytest.mark.parametrize("alternative", contrasts.ALTERNATIVES)
def test_films_that_agree_leave_the_t_test_over_seeds(alternative):
    by_seed = np.random.default_rng(4).normal(0.5, 1, size=(6, 1))
    expected = stats.ttest_1samp(by_seed[:, 0], 0.2, alternative=alternative)
    found = mean_of(one_cell(np.repeat(by_seed, 9, axis=1)))
    assert found.p_value(alternative, null=0.2) == pytest.approx(expected.pvalue)
    assert found.df == pytest.approx(5)


def test_two_architectures_with_their_own_seeds_are_welch():
    generator = np.random.default_rng(5)
    a, b = generator.normal(0.5, 1, size=(6, 1)), generator.normal(0, 3, size=(4, 1))
    cells = {
        "a": Cell(np.repeat(a, 7, 1), range(6), "A"),
        "b": Cell(np.repeat(b, 7, 1), range(4), "B"),
    }
    found = contrasts.contrast(CrossedCells(cells, range(7)), {"a": 1, "b": -1})
    expected = stats.ttest_ind(a[:, 0], b[:, 0], equal_var=False)
    assert found.p_value() == pytest.approx(expected.pvalue)
    assert found.df == pytest.approx(expected.df)
    assert found.seed_level == "A: estimated (6 seeds); B: estimated (4 seeds)"


def test_two_methods_with_common_seeds_are_paired():
    generator = np.random.default_rng(6)
    a, b = generator.normal(size=(2, 6, 1))
    cells = {n: Cell(np.repeat(x, 7, 1), range(6), "A") for n, x in (("a", a), ("b", b))}
    found = contrasts.contrast(CrossedCells(cells, range(7)), {"a": 1, "b": -1})
    assert found.p_value() == pytest.approx(stats.ttest_rel(a[:, 0], b[:, 0]).pvalue)


def test_architectures_are_paired_by_patient():
    generator = np.random.default_rng(7)
    a, b = generator.normal(size=(2, 1, 20))
    cells = {n: Cell(x.repeat(3, axis=0), range(3), n) for n, x in (("a", a), ("b", b))}
    found = contrasts.contrast(CrossedCells(cells, range(20)), {"a": 1, "b": -1})
    assert found.p_value() == pytest.approx(stats.ttest_rel(a[0], b[0]).pvalue)


def test_seed_floor_of_additive_seed_effects():
    # Mean of a_i + a_j over pairs = twice the mean of a, so four times its variance.
    effects = np.array([1.0, 4, 2, 8, 5])
    pairs = list(combinations(range(5), 2))
    scores = np.repeat([[effects[i] + effects[j]] for i, j in pairs], 6, axis=1)
    found = mean_of(one_cell(scores, seeds=pairs))
    assert found.estimate == pytest.approx(2 * effects.mean())
    assert found.se**2 == pytest.approx(4 * effects.var(ddof=1) / 5)
    assert found.df == pytest.approx(4)


@pytest.mark.parametrize("name", ["m1", "floor"])
def test_influences_against_leaving_units_out(name):
    cells = study(blank=0.2)
    cell, found = cells["A", name], cells.influence(("A", name))
    observed = ~np.isnan(cell.scores)
    assert observed.mean() < 0.9
    assert found.mean == pytest.approx(np.nanmean(cell.scores))
    for position, seed in enumerate(found.seeds):
        rest = [row for row, of in enumerate(cell.seeds) if seed not in np.atleast_1d(of)]
        change = np.nanmean(cell.scores) - np.nanmean(cell.scores[rest])
        assert found.seed[position] == pytest.approx(change * math.sqrt(3 / 4))
    for position, patient in enumerate(pd.unique(cells.patients)):
        own = cell.scores[:, cells.patients == patient]
        share = np.nansum(own - np.nanmean(cell.scores)) / observed.sum()
        assert found.patient[position] == pytest.approx(share)


@pytest.mark.parametrize("name", ["m1", "floor"])
def test_interaction_is_what_main_effects_do_not_explain(name):
    cells, generator = study(), np.random.default_rng(0)
    cell = cells["A", name]
    rows, films = generator.normal(size=(len(cell.scores), 1)), generator.normal(size=40)

    def interaction(scores):
        changed = CrossedCells({"x": Cell(scores, cell.seeds, "A")}, cells.patients)
        return changed.influence("x").seed_patient

    found = interaction(cell.scores)
    assert np.abs(found).max() > 1e-5
    np.testing.assert_allclose(interaction(cell.scores + rows + films), found, atol=1e-14)
    np.testing.assert_allclose(interaction(rows + films), 0, atol=1e-14)


@pytest.mark.parametrize("name", ["m1", "floor"])
def test_contrast_of_cells_is_the_cell_of_contrasts(name):
    cells = study()
    first = cells["A", name]
    second = Cell(first.scores[:, ::-1] ** 2, first.seeds, "A")
    both = CrossedCells({"a": first, "b": second}, cells.patients)
    alone = CrossedCells(
        {"x": Cell(first.scores - 2 * second.scores, first.seeds, "A")}, cells.patients
    )
    found, expected = contrasts.contrast(both, {"a": 1, "b": -2}), mean_of(alone)
    np.testing.assert_allclose(
        [found.estimate, found.se, found.df], [expected.estimate, expected.se, expected.df]
    )


def test_order_of_films_and_patients_does_not_matter():
    cells, order = study(blank=0.1), np.random.default_rng(0).permutation(40)
    shuffled = CrossedCells(
        {n: Cell(c.scores[:, order], c.seeds, c.group) for n, c in cells.cells.items()},
        [f"patient {code}" for code in cells.patients[order]],
    )
    for name in cells.cells:
        found, expected = (contrasts.contrast(of, {name: 1}) for of in (shuffled, cells))
        np.testing.assert_allclose(
            [found.estimate, found.se, found.df], [expected.estimate, expected.se, expected.df]
        )


def test_many_data_sets_at_once_are_those_data_sets():
    made = Studies(3, seeds=4, films=30, seed=1).add("A", "x", 0.5, blank=0.1).crossed()
    together = mean_of(made, ("A", "x"))
    for k in range(3):
        alone = mean_of(one_cell(made["A", "x"].scores[k], made.patients))
        for name in ("estimate", "se", "df", "se_seeds"):
            assert getattr(together, name)[k] == pytest.approx(getattr(alone, name))


# Blank maps and missing levels


@pytest.mark.parametrize("blank", [((0, 1), (0, 0)), ((0, 0), (0, 30))], ids=["seed", "patients"])
def test_a_seed_or_patients_of_blank_maps_alone_do_not_count(blank):
    scores = np.random.default_rng(8).normal(size=(4, 20))
    found = mean_of(one_cell(np.pad(scores, blank, constant_values=np.nan)))
    expected = mean_of(one_cell(scores))
    np.testing.assert_allclose([found.se, found.df], [expected.se, expected.df])
    assert found.seed_level == "estimated (4 seeds)"


def test_cell_of_blank_maps_is_undefined_and_never_supported():
    found = mean_of(one_cell(np.full((3, 4), np.nan)))
    assert np.isnan([found.estimate, found.se, *found.interval(), found.p_value()]).all()
    assert found.seed_level == "not estimated (0 seeds)"
    other = estimate_of(9.0, 1.0, 5)
    assert not decisions.crossover(found, other).supported
    assert np.isnan(decisions.crossover(found, other).p_value)


def test_two_seeds_have_no_estimable_floor():
    found = mean_of(one_cell(np.random.default_rng(0).normal(size=(1, 9)), seeds=[(0, 1)]))
    assert found.seed_level == "not estimated (2 seeds)"
    assert found.se > 0


def test_groups_of_which_one_has_a_single_seed_are_told_apart():
    generator = np.random.default_rng(0)
    cells = {
        "a": Cell(generator.normal(size=(3, 9)), range(3), "A"),
        "b": Cell(generator.normal(size=(1, 9)), [0], "B"),
    }
    found = contrasts.contrast(CrossedCells(cells, range(9)), {"a": 1, "b": -1})
    assert found.seed_level == "A: estimated (3 seeds); B: not estimated (1 seed)"
    assert np.isnan(found.se_seeds)


def test_values_that_agree_have_no_error():
    found = mean_of(one_cell(np.full((3, 8), 0.5)))
    assert found.interval() == (0.5, 0.5)
    tests = [found.p_value(), found.p_value(null=0.5), found.p_value("less", null=0.6)]
    assert tests == [0, 1, 0]


# Films that count more


def test_a_film_of_weight_three_counts_as_three_films_of_its_patient():
    generator = np.random.default_rng(8)
    scores = generator.normal(0.5, 0.1, size=(3, 12))
    scores[1, 4] = np.nan
    patients, weights = np.arange(12) // 2, np.array([1.0, 3, 2] + [1] * 9)
    copies = np.repeat(np.arange(12), weights.astype(int))

    def of(rows, people, weights=None):
        cells = {"a": Cell(rows, [0, 1, 2], "A", weights)}
        return contrasts.contrast(CrossedCells(cells, people), {"a": 1})

    weighted, copied = of(scores, patients, weights), of(scores[:, copies], patients[copies])
    assert weighted.estimate == pytest.approx(np.average(
        scores[~np.isnan(scores)], weights=np.tile(weights, (3, 1))[~np.isnan(scores)]
    ))  # fmt: skip
    for part in ("estimate", "se", "df", "se_patients", "se_seeds"):
        assert getattr(weighted, part) == pytest.approx(getattr(copied, part), rel=1e-12)
    assert of(scores, patients, 7 * weights).se == pytest.approx(weighted.se)
    with pytest.raises(ValueError, match="weights of shape"):
        of(scores, patients, weights[:5])
    with pytest.raises(ValueError, match="0 or more"):
        of(scores, patients, -weights)


def test_every_class_counts_alike_however_many_films_it_has():
    values = [0.2, 0.4, 0.9, 0.7]  # films f1 to f4; three of one class, one of the other
    pairs = pair_rows("finetune", "transfer-s0", "finetune-s0", values, ("f1", "f2", "f3", "f4"))
    patients = pd.Series({f"f{n}": f"p{n}" for n in range(1, 5)})
    labels = pd.Series({"f1": "well", "f2": "well", "f3": "well", "f4": "sick"})
    cells = crossed.cells_from_pairs(pairs, patients, metric="iou", labels=labels)
    (name,) = cells.cells
    assert cells[name].weights.tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2])
    assert contrasts.contrast(cells, {name: 1}).estimate == pytest.approx((0.5 + 0.7) / 2)
    draws = bootstrap.bootstrap(cells, seed=1, resamples=3000).draws
    assert draws.mean() == pytest.approx(0.6, abs=0.02)


# Retained evidence


def retained(tuned, placebo, ceiling):
    scores = {"tuned": tuned, "placebo": placebo, "ceiling": ceiling}
    cells = {n: Cell(s, range(len(s)), "A") for n, s in scores.items()}
    cells = CrossedCells(cells, patients_of(tuned.shape[1]))
    return contrasts.retained_evidence(cells, **{n: n for n in scores}), cells


def test_retained_evidence_has_the_error_of_its_numerical_gradient():
    base = np.random.default_rng(2).normal(0, 0.05, size=(3, 4, 50))
    found, cells = retained(*(base + np.array([0.5, 0.8, 0.2])[:, None, None]))
    means = np.array([cells.influence(n).mean for n in cells.cells])

    def share(m):
        return (m[0] - m[2]) / (m[1] - m[2])

    assert found.estimate == pytest.approx(share(means))
    step = 1e-6 * np.eye(3)
    slopes = [(share(means + e) - share(means - e)) / 2e-6 for e in step]
    linear = contrasts.contrast(cells, dict(zip(cells.cells, slopes, strict=True)))
    assert found.se == pytest.approx(linear.se, rel=1e-6)
    assert found.df == pytest.approx(linear.df, rel=1e-6)


def test_retained_evidence_is_unbounded_when_placebo_is_not_above_ceiling():
    base = np.random.default_rng(2).normal(0, 0.05, size=(3, 4, 50))
    found, _ = retained(*(base + 0.5))
    assert found.interval() == (-np.inf, np.inf)
    assert found.p_value() == 1


# Tables


def pair_rows(pairing, before, after, values, films=("f2", "f1")):
    rows = [
        ("A", "layercam", "auto_conv", pairing, before, after, film, value)
        for film, value in zip(films, values, strict=True)
    ]
    columns = ["architecture", "method", "role", "pairing", "before", "after", "image_id", "iou"]
    return pd.DataFrame(rows, columns=columns)


PATIENTS = pd.Series({"f1": "p1", "f2": "p2", "f3": "p3"})


def test_cells_from_a_table_of_pairs():
    table = pd.concat(
        [
            pair_rows("finetune", "transfer-s0", "finetune-s10", [0.2, 0.1]),
            pair_rows("finetune", "transfer-s0", "finetune-s2", [0.4, np.nan]),
            pair_rows("finetune_seeds", "finetune-s2", "finetune-s10", [0.9, 0.8]),
            pair_rows("transfer_seeds", "transfer-s0", "transfer-s1", [0.5], films=["f1"]),
        ]
    )
    cells = crossed.cells_from_pairs(table, PATIENTS, metric="iou")
    assert cells.patients.tolist() == ["p1", "p2"]
    key = ("A", "layercam", "auto_conv")
    tuned, floor = cells[(*key, "finetune")], cells[(*key, "finetune_seeds")]
    heads = cells[(*key, "transfer_seeds")]
    assert dict(zip(tuned.seeds.tolist(), tuned.scores.tolist(), strict=True)) == {
        10: [0.1, 0.2],
        2: [pytest.approx(np.nan, nan_ok=True), 0.4],
    }
    assert (floor.seeds.tolist(), floor.scores.tolist()) == ([[2, 10]], [[0.8, 0.9]])
    assert heads.scores.tolist() == [[0.5, pytest.approx(np.nan, nan_ok=True)]]
    assert tuned.group == floor.group != heads.group


# The bootstrap


def explicit_mean(cell, weights, resample):
    """Mean over a list of the drawn entries, each as often as it was drawn."""
    films = np.repeat(np.arange(cell.scores.shape[1]), weights.films[resample].astype(int))
    if cell.pairs:
        numbers = np.unique(cell.seeds)
        times = [int(weights.seeds[cell.group, n][resample]) for n in numbers]
        drawn = np.repeat(numbers, times)
        wanted = [(i, j) for i, j in combinations(drawn, 2) if i != j]
        rows = [[set(pair) for pair in cell.seeds.tolist()].index(set(pair)) for pair in wanted]
    else:
        times = [int(weights.seeds[cell.group, n][resample]) for n in cell.seeds]
        rows = np.repeat(np.arange(len(cell.seeds)), times)
    entries = [cell.scores[row, film] for row in rows for film in films]
    return np.nanmean(entries) if entries else np.nan


def test_bootstrap_against_explicit_resampling():
    cells = study(blank=0.2)
    weights = bootstrap.draw_weights(cells, resamples=40, seed=5)
    boot = bootstrap.bootstrap(cells, resamples=40, seed=5)
    for column, cell in enumerate(cells.cells.values()):
        expected = [explicit_mean(cell, weights, resample) for resample in range(40)]
        np.testing.assert_allclose(boot.draws[:, column], expected, rtol=1e-12)
        assert boot.estimates[column] == pytest.approx(np.nanmean(cell.scores))


def test_weights_are_counts_of_whole_draws():
    cells = study()
    weights = bootstrap.draw_weights(cells, resamples=50, seed=1)
    by_patient = cells.sum_by_patient(weights.films) / cells.films_per_patient()
    np.testing.assert_array_equal(by_patient, np.round(by_patient))
    np.testing.assert_array_equal(by_patient.sum(axis=1), len(np.unique(cells.patients)))
    seeds = np.array([[weights.seeds[group, n] for n in range(4)] for group in "AB"])
    np.testing.assert_array_equal(seeds.sum(axis=1), 3)
    assert (seeds[0] != seeds[1]).any()


def test_films_of_a_patient_are_drawn_within_the_patient():
    # k ~ Binomial(P, 1/P) draws of a patient of two films, each film then Binomial(2k, 1/2) times.
    patients = np.repeat(np.arange(10), 2)
    cells = one_cell(np.zeros((1, 20)), patients)
    films = bootstrap.draw_weights(cells, resamples=40_000, seed=2).films
    covariance = np.cov(films[:, :4].T)
    of_patient = 1 - 1 / 10
    expected = np.full((4, 4), -1 / 10)  # of two patients in a multinomial
    expected[:2, :2] = expected[2:, 2:] = of_patient - 1 / 2
    expected[np.diag_indices(4)] = of_patient + 1 / 2
    np.testing.assert_allclose(covariance, expected, atol=0.04)  # five Monte-Carlo standard errors


def test_variance_of_the_bootstrap_in_closed_form():
    # Both totals of weights are fixed here, so the mean is w'Yv / (sum w · P) and its variance
    # follows from the multinomial covariances of w and v.
    table = np.random.default_rng(3).normal(size=(4, 12)) + np.arange(4)[:, None]
    s, p = table.shape
    of_seeds = (np.eye(s) - 1 / s) * s / (s - 1)
    of_patients = np.eye(p) - 1 / p
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    variance = rows @ of_seeds @ rows + columns @ of_patients @ columns
    variance += np.trace(of_seeds @ table @ of_patients @ table.T)
    boot = bootstrap.bootstrap(one_cell(table), resamples=40_000, seed=1)
    assert boot.draws.var() == pytest.approx(variance / (s * p) ** 2, rel=0.04)
    assert boot.draws.mean() == pytest.approx(table.mean(), abs=0.02)


def test_bootstrap_repeats_with_its_seed_and_keeps_cells_together():
    cells = study()
    boot = bootstrap.bootstrap(cells, resamples=30, seed=4)
    again = bootstrap.bootstrap(cells, resamples=30, seed=4)
    np.testing.assert_array_equal(boot.draws, again.draws)
    assert (bootstrap.bootstrap(cells, resamples=30, seed=5).draws != boot.draws).any()
    shifted = {
        "x": cells["A", "m1"],
        "y": Cell(cells["A", "m1"].scores + 0.25, cells["A", "m1"].seeds, "A"),
    }
    boot = bootstrap.bootstrap(CrossedCells(shifted, cells.patients), resamples=30, seed=4)
    np.testing.assert_allclose(boot.draws[:, 1] - boot.draws[:, 0], 0.25)
    estimates, draws = boot.select(["y"])
    assert (estimates[0], draws[:, 0].tolist()) == (boot.estimates[1], boot.draws[:, 1].tolist())


def test_single_seed_and_single_pair_are_always_drawn():
    cells = {
        "one": Cell(np.full((1, 6), 0.5), [0], "A"),
        "pair": Cell(np.full((1, 6), 0.7), [(0, 1)], "B"),
    }
    boot = bootstrap.bootstrap(CrossedCells(cells, range(6)), resamples=20, seed=0)
    np.testing.assert_allclose(boot.draws, np.tile([0.5, 0.7], (20, 1)))


# Ranks


def test_rank_probabilities_by_hand():
    draws = np.array([[3, 2, 1], [3, 1, 2], [2, 2, 1], [1, 1, 1], [np.nan, 1, 2]], dtype=float)
    table = bootstrap.rank_probabilities(draws, ["A", "B", "C"])
    found = table.pivot_table(index="architecture", columns="rank", values="probability")
    third = 1 / 3
    expected = [
        [2 + 1 / 2 + third, 1 / 2 + third, third],
        [1 / 2 + third, 1 + 1 / 2 + third, 1 + third],
        [third, 1 + third, 2 + third],
    ]
    np.testing.assert_allclose(found, np.array(expected) / 4)
    assert (table["resamples"] == 4).all()


def test_scores_that_differ_in_their_last_bit_are_tied():
    third, other = 0.1 + 0.2, 0.3
    assert third != other, "the same mean, added in another order"
    table = bootstrap.rank_probabilities(np.array([[third, other]]), ["A", "B"])
    assert table["probability"].tolist() == [0.5] * 4
    assert np.isnan(bootstrap.kendall_tau([third, other], [1, 2]))


def test_ranks_of_nothing_are_undefined():
    table = bootstrap.rank_probabilities(np.full((5, 2), np.nan), ["A", "B"])
    assert table["probability"].isna().all()
    assert (table["resamples"] == 0).all()


def test_kendall_against_scipy():
    first, second = np.random.default_rng(0).integers(0, 4, size=(2, 200, 5)).astype(float)
    expected = [stats.kendalltau(a, b).statistic for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(bootstrap.kendall_tau(first, second), expected, atol=1e-12)
    assert np.isnan(bootstrap.kendall_tau([1, 1, 1], [1, 2, 3]))
    assert np.isnan(bootstrap.kendall_tau([1, np.nan, 1], [1, 2, 3]))


@pytest.mark.parametrize("sign", [1, -1])
def test_agreement_of_two_methods_by_hand(sign):
    names = ("a1", "b1", "c1", "a2", "b2", "c2")
    draws = np.array(
        [[3, 2, 1, 3, 2, 1], [3, 2, 1, 1, 2, 3], [3, 2, 1, 2, 3, 1], [3, 2, 1, 1, 2, 3]], float
    )
    draws[:, 3] *= sign  # a distance ranks by its size
    boot = bootstrap.Bootstrap(names, draws[2], draws)
    table = bootstrap.rank_agreement(boot, names[:3], names[3:], distance=sign < 0)
    np.testing.assert_allclose(table["tau"], [-1, 1 / 3, 1])
    assert table["probability"].tolist() == [0.5, 0.25, 0.25]
    assert table["observed"].tolist() == [False, True, False]


# Decisions


# The 97.5 % point of t with 4 degrees of freedom is 2.776.
@pytest.mark.parametrize(
    ("first", "second", "supported", "opposite"),
    [
        (2.80, -2.80, True, True),
        (-2.80, 9.0, True, True),
        (2.75, -2.80, False, True),
        (9.0, -2.75, False, True),
        (9.0, 9.0, False, False),
        (9.0, 0.0, False, False),
    ],
)
def test_crossover_by_hand(first, second, supported, opposite):
    effects = estimate_of(first, 1.0, 4.0), estimate_of(second, 1.0, 4.0)
    found = decisions.crossover(*effects)
    assert found.supported == supported
    weaker = min(abs(first), abs(second))
    assert found.p_value == pytest.approx(stats.t.sf(weaker, 4) if opposite else 1)


def test_with_many_seeds_the_crossover_is_the_published_test():
    # Gail & Simon 1985, table 1: the smaller of Q+ and Q- is 2.71 at 5 % with two groups.
    effects = estimate_of(math.sqrt(2.71), 1.0, 1e9), estimate_of(-10.0, 1.0, 1e9)
    assert decisions.crossover(*effects).p_value == pytest.approx(0.05, abs=2e-4)


def test_holm_by_hand():
    # Sorted 0.005, 0.01, 0.03, 0.04, times 4, 3, 2, 1; the last may not fall below the third.
    found = decisions.holm([0.01, 0.04, 0.03, 0.005])
    assert found.tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert decisions.holm([0.6, 0.7]).tolist() == [1, 1]
    assert decisions.holm([]).tolist() == []


def test_holm_counts_a_test_that_could_not_be_made():
    found = decisions.holm([0.01, np.nan, 0.02])
    assert found.tolist() == [pytest.approx(0.03), pytest.approx(np.nan, nan_ok=True), 0.04]


# Errors


def pairs_of(**change):
    return pair_rows("finetune", "transfer-s0", "finetune-s1", [0.1, 0.2]).assign(**change)


def from_pairs(table):
    return crossed.cells_from_pairs(table, PATIENTS, metric="iou")


SCORES = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Cell(SCORES, [0], "A"), r"cell of A: found scores of shape \(2, 3\).*\(1,\)"),
        (lambda: Cell(SCORES + np.inf, [0, 1], "A"), "found 6 infinite values"),
        (lambda: Cell(SCORES, [1, 1], "A"), r"rows of the seeds \[1, 1\]; expected each once"),
        (lambda: Cell(SCORES, [(0, 1), (1, 0)], "A"), "expected each once"),
        (lambda: Cell(SCORES, [(0, 1), (2, 2)], "A"), "pairs of two different seeds"),
        (lambda: CrossedCells({}, [1]), "found 0 cells"),
        (lambda: one_cell(SCORES, patients=[1, 2, None]), "with 1 missing"),
        (lambda: one_cell(SCORES, patients=[1, 2]), r"cell x: found data sets \(\) and 3 films"),
        (lambda: from_pairs(pairs_of()[["image_id"]]), "expected also .*'architecture'"),
        (lambda: from_pairs(pairs_of(image_id="f1")), "'f1'} twice"),
        (
            lambda: from_pairs(pairs_of(image_id=["f1", "f9"])),
            "found none for 1 films such as 'f9'",
        ),
        (lambda: from_pairs(pairs_of(after="final")), "checkpoint: found 'final'"),
        (lambda: contrasts.contrast(one_cell(SCORES), {"y": 1}), r"found 'y'; .*\['x'\]"),
        (lambda: contrasts.contrast(one_cell(SCORES), {}), "coefficients: found none"),
        (lambda: estimate_of(0, 1, 2).interval(95), "level: found 95"),
        (lambda: estimate_of(0, 1, 2).p_value("more"), "alternative: found 'more'"),
        (lambda: decisions.holm([0.1, 1.1]), r"p_values: found .*1\.1"),
        (lambda: bootstrap.bootstrap(one_cell(SCORES), resamples=0, seed=0), "resamples: found 0"),
        (
            lambda: bootstrap.bootstrap(one_cell(SCORES[None]), seed=0),
            r"cell x: found scores of shape \(1, 2, 3\)",
        ),
        (lambda: bootstrap.Bootstrap(("x",), 0, 0).select(["y"]), "cell: found 'y'"),
        (lambda: bootstrap.rank_probabilities(SCORES, ["A"]), r"draws: found shape \(2, 3\)"),
        (lambda: bootstrap.kendall_tau([1, 2], [1, 2, 3]), "first, second: found shapes"),
    ],
)
def test_wrong_input_names_what_was_found_and_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_share_has_an_exact_interval_over_patients():
    patients = pd.Series(np.arange(12))
    none = contrasts.clustered_share(np.zeros(12, bool), patients)
    exact = stats.binomtest(0, 12).proportion_ci()
    np.testing.assert_allclose(none, (0, exact.low, exact.high))
    every = contrasts.clustered_share(np.ones(12, bool), patients)
    np.testing.assert_allclose(every, (1, 1 - exact.high, 1))
    hits = np.arange(12) < 5
    some = contrasts.clustered_share(hits, patients)
    exact = stats.binomtest(5, 12).proportion_ci()
    assert 0 < some[1] <= exact.low and exact.high <= some[2] < exact.high + 0.05
    # A second film of each patient that says the same adds nothing.
    twice = contrasts.clustered_share(hits.repeat(2), patients.repeat(2))
    np.testing.assert_allclose(twice, some)
    assert np.isnan(contrasts.clustered_share(hits[:1], patients[:1])[1:]).all()
    assert np.isnan(contrasts.clustered_share(hits[:0], patients[:0])).all()
