"""The machinery on simulated studies of known truth: coverage, false positives, power.

The dependence is that of the study: 150 films of 75 patients, common to all architectures; training
seeds of their own for each architecture, common to its methods and pairings. With n data sets a
share p has the Monte-Carlo standard error √(p(1 − p)/n), 0.35 % at 5 % for the 4,000 used here.
"""

import numpy as np
import pytest
from crossed_material import FILM, NOISE, PATIENT, SEED_PATIENT, Studies
from scipy import stats

from lib.inference import contrasts, decisions

COUNT = 4000
NO_SPREAD, USUAL_SPREAD, LARGE_SPREAD = 0.0, 0.02, 0.1
SINGLE = {("A", "m1"): 1}
METHODS = {("A", "m1"): 1, ("A", "m2"): -1}
ARCHITECTURES = {("A", "m1"): 1, ("B", "m1"): -1}
OTHER_METHOD = {("A", "m2"): 1, ("B", "m2"): -1}
INTERACTION = {**ARCHITECTURES, ("A", "m2"): -1, ("B", "m2"): 1}
FLOOR = {("A", "floor"): 1}
ABOVE_FLOOR = {("A", "m1"): 1, ("A", "floor"): -1}


def at_most(share: float) -> float:
    """Largest share that three Monte-Carlo standard errors allow."""
    return share + 3 * np.sqrt(share * (1 - share) / COUNT)


def studies(means, *, spread=USUAL_SPREAD, seeds=5, seed=0, blank=0.0, films=150):
    """Data sets with a cell per (architecture, name); a cell named floor has pairs of seeds."""
    made = Studies(COUNT, seeds=seeds, films=films, spread=spread, seed=seed)
    for (architecture, name), mean in means.items():
        # Architectures need not be equally reproducible.
        own = spread if architecture == "A" else spread / 2
        made.add(architecture, name, mean, spread=own, pairs=name == "floor", blank=blank)
    return made.crossed()


MEANS = {("A", "m1"): 0.5, ("A", "m2"): 0.4, ("B", "m1"): 0.3, ("B", "m2"): 0.45}
MEANS |= {("A", "floor"): 0.6}


def coverage(cells, coefficients, means=MEANS):
    low, high = contrasts.contrast(cells, coefficients).interval()
    truth = sum(weight * means[name] for name, weight in coefficients.items())
    return ((low <= truth) & (truth <= high)).mean()


# Intervals


@pytest.fixture(
    scope="module",
    params=[(NO_SPREAD, 0.0), (USUAL_SPREAD, 0.0), (USUAL_SPREAD, 0.15), (LARGE_SPREAD, 0.0)],
    ids=["no seed effect", "usual", "15 % blank", "seeds rule"],
)
def five_seeds(request):
    spread, blank = request.param
    return studies(MEANS, spread=spread, blank=blank)


@pytest.mark.parametrize(
    "coefficients",
    [SINGLE, METHODS, ARCHITECTURES, INTERACTION, FLOOR, ABOVE_FLOOR],
    ids=["single", "methods", "architectures", "interaction", "floor", "above floor"],
)
def test_coverage_with_five_seeds(five_seeds, coefficients):
    assert 0.93 <= coverage(five_seeds, coefficients) <= 0.97


def test_coverage_of_retained_evidence():
    means = {("A", "tuned"): 0.5, ("A", "placebo"): 0.8, ("A", "ceiling"): 0.2}
    cells = studies(means)
    names = {name: ("A", name) for name in ("tuned", "placebo", "ceiling")}
    low, high = contrasts.retained_evidence(cells, **names).interval()
    assert np.isfinite(low).all()
    assert 0.93 <= ((low <= 0.5) & (high >= 0.5)).mean() <= 0.97


@pytest.mark.parametrize("seeds", [3, 5])
def test_coverage_of_the_systematic_share(seeds):
    tuned, floor = ("A", "tuned"), ("A", "floor")
    cells = studies({tuned: 0.6, floor: 0.4}, seeds=seeds)
    found = contrasts.ratio_of_contrasts(cells, {tuned: 1, floor: -0.5}, {tuned: 1})
    low, high = found.interval()
    assert 0.93 <= ((low <= 2 / 3) & (high >= 2 / 3)).mean() <= 0.975


# What the table in lib.inference.contrasts says of few seeds at the largest spread, ± 1.5 points.
@pytest.mark.parametrize(
    ("seeds", "coefficients", "stated"),
    [
        (2, SINGLE, 0.909),
        (2, ARCHITECTURES, 0.953),
        (3, SINGLE, 0.941),
        (3, ARCHITECTURES, 0.953),
        (4, SINGLE, 0.950),
        (4, ARCHITECTURES, 0.953),
    ],
)
def test_coverage_with_few_seeds_is_what_the_table_says(seeds, coefficients, stated):
    cells = studies({name: MEANS[name] for name in coefficients}, seeds=seeds, spread=LARGE_SPREAD)
    assert coverage(cells, coefficients) == pytest.approx(stated, abs=0.015)


def test_a_normal_quantile_would_cover_too_little():
    cells = studies({("A", "m1"): 0.5}, spread=LARGE_SPREAD)
    found = contrasts.contrast(cells, SINGLE)
    assert (np.abs(found.estimate - 0.5) <= 1.96 * found.se).mean() < 0.91


def test_one_seed_speaks_of_its_own_checkpoints_only():
    made = Studies(COUNT, seeds=1, spread=LARGE_SPREAD, seed=0).add("A", "m1", 0.5)
    own_mean = 0.5 + LARGE_SPREAD * made.effect("seed", "A", "m1")[:, 0, 0]
    found = contrasts.contrast(made.crossed(), SINGLE)
    assert found.seed_level == "not estimated (1 seed)"
    low, high = found.interval()
    assert 0.93 <= ((low <= own_mean) & (own_mean <= high)).mean() <= 0.97
    assert ((low <= 0.5) & (high >= 0.5)).mean() < 0.5  # it must not be read as one of all seeds


@pytest.mark.parametrize("coefficients", [SINGLE, ARCHITECTURES], ids=["single", "architectures"])
def test_squared_error_is_unbiased_for_the_variance_components(coefficients):
    # One film per patient; so large a spread that the truncation never matters.
    made = Studies(COUNT, seeds=5, spread=LARGE_SPREAD, seed=1, patients=np.arange(60))
    for name in coefficients:
        made.add(*name, 0.5)
    found = contrasts.contrast(made.crossed(), coefficients)
    still, moving = PATIENT**2 + FILM**2, SEED_PATIENT**2 + NOISE**2
    cells = len(coefficients)
    if cells == 2:
        still *= 2 / 3  # a third of the variance is common to both architectures and cancels
    truth = cells * (LARGE_SPREAD**2 / 5 + still / 60 + moving / (5 * 60))
    error = np.std(found.se**2) / np.sqrt(COUNT)
    assert np.mean(found.se**2) == pytest.approx(truth, abs=4 * error)
    assert np.var(found.estimate) == pytest.approx(truth, rel=4 * np.sqrt(2 / COUNT))


# False positives


@pytest.mark.parametrize("spread", [NO_SPREAD, USUAL_SPREAD, LARGE_SPREAD])
def test_no_drift_is_found_in_at_most_five_per_cent(spread):
    # Fine-tuning like the placebo, and like the seed floor; two-sided and one-sided.
    means = {("A", "tuned"): 0.6, ("A", "placebo"): 0.6, ("A", "floor"): 0.6}
    cells = studies(means, spread=spread, seed=2)
    for reference in ("placebo", "floor"):
        found = contrasts.contrast(cells, {("A", "tuned"): 1, ("A", reference): -1})
        for alternative in contrasts.ALTERNATIVES:
            share = (found.p_value(alternative) <= 0.05).mean()
            assert share <= at_most(0.05), (reference, alternative)


def test_no_difference_of_architectures_in_at_most_five_per_cent():
    cells = studies(dict.fromkeys(MEANS, 0.5), seed=3)
    for coefficients in (ARCHITECTURES, METHODS, INTERACTION):
        found = contrasts.contrast(cells, coefficients)
        assert (found.p_value() <= 0.05).mean() <= at_most(0.05)


def test_holm_keeps_the_family_at_five_per_cent():
    cells = studies({(a, m): 0.5 for a in "ABC" for m in ("m1", "m2")}, seed=4)
    pairs = [((a, "m1"), (a, "m2")) for a in "ABC"]
    pairs += [((a, "m1"), (b, "m1")) for a, b in ("AB", "AC", "BC")]
    family = [contrasts.contrast(cells, {a: 1, b: -1}).p_value() for a, b in pairs]
    p_values = np.array(family).T
    assert (p_values.min(axis=1) <= 0.05).mean() > 0.15  # uncorrected, the family errs
    adjusted = np.array([decisions.holm(row) for row in p_values])
    assert (adjusted.min(axis=1) <= 0.05).mean() <= at_most(0.05)


@pytest.mark.parametrize("second", [0.0, 0.3], ids=["no effects", "one effect, one null"])
def test_no_crossover_is_found_where_there_is_none(second):
    # The least favourable case is one effect of 0 beside a sure one.
    means = {("A", "m1"): 0.5, ("B", "m1"): 0.5, ("A", "m2"): 0.5 + second, ("B", "m2"): 0.5}
    cells = studies(means, seed=5)
    effects = [contrasts.contrast(cells, c) for c in (ARCHITECTURES, OTHER_METHOD)]
    found = decisions.crossover(*effects)
    assert found.supported.mean() <= at_most(0.025)
    assert (found.p_value <= 0.05).mean() <= at_most(0.05)
    if second:  # estimates alone reverse half the time
        assert (effects[0].estimate * effects[1].estimate < 0).mean() > 0.4


# Power


def test_planted_drift_is_found():
    # Power of the noncentral t with the true standard error, whose seed part has 4 degrees of
    # freedom: a lower bound, as patients bring many more.
    made = Studies(COUNT, seeds=5, spread=USUAL_SPREAD, seed=6, patients=np.arange(150))
    made.add("A", "tuned", 0.5).add("A", "placebo", 0.58)
    found = contrasts.contrast(made.crossed(), {("A", "tuned"): 1, ("A", "placebo"): -1})
    own_share = 2 * np.array([1 / 3, 1 / 2])  # variance that two cells of one architecture keep
    variance = own_share[0] * (PATIENT**2 + FILM**2) / 150
    variance += own_share[1] * (USUAL_SPREAD**2 / 5 + (SEED_PATIENT**2 + NOISE**2) / (5 * 150))
    bound = stats.nct.cdf(stats.t.ppf(0.05, 4), 4, -0.08 / np.sqrt(variance))
    power = (found.p_value("less") <= 0.05).mean()
    assert bound > 0.9
    assert power >= bound


@pytest.mark.parametrize(("effect", "least"), [(0.08, 0.9), (0.12, 0.98)])
def test_planted_crossover_is_found(effect, least):
    half = effect / 2
    means = {("A", "m1"): 0.5 + half, ("B", "m1"): 0.5 - half}
    means |= {("A", "m2"): 0.5 - half, ("B", "m2"): 0.5 + half}
    cells = studies(means, seed=7)
    effects = [contrasts.contrast(cells, c) for c in (ARCHITECTURES, OTHER_METHOD)]
    assert decisions.crossover(*effects).supported.mean() >= least


def test_more_seeds_sharpen_what_more_films_cannot():
    def width(**options):
        cells = studies({("A", "m1"): 0.5}, spread=LARGE_SPREAD, seed=9, **options)
        low, high = contrasts.contrast(cells, SINGLE).interval()
        return np.mean(high - low)

    assert width(films=300) > 0.9 * width()
    assert width(seeds=10) < 0.65 * width()
