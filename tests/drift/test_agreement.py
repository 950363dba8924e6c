"""Partial agreement: an independent implementation, its null, and the table of all seeds."""

import numpy as np
import pytest
from maps_material import map_set
from sklearn.linear_model import LinearRegression

from lib.drift.agreement import partial_correlation, seed_agreement
from lib.study.schema import TABLES

KEY = ("post_activation", "layercam")


def gamma(seed, count=4000):
    return np.random.default_rng(seed).gamma(3, size=(count, 5, 5))


def wandered(start, seed, step=0.3):
    return np.maximum(start + step * np.random.default_rng(seed).normal(size=start.shape), 0)


def test_it_is_the_correlation_of_the_residuals():
    given = gamma(0, 6)
    first, second = wandered(given, 1, 2), wandered(given, 2, 2)
    for f, s, g, found in zip(
        first, second, given, partial_correlation(first, 3 * second, given), strict=True
    ):
        columns = g.reshape(-1, 1)
        left = [
            x.ravel() - LinearRegression().fit(columns, x.ravel()).predict(columns) for x in (f, s)
        ]
        assert found == pytest.approx(np.corrcoef(*left)[0, 1], abs=1e-12)


def test_seeds_that_wander_independently_from_one_start_have_none():
    start = gamma(0)
    null = partial_correlation(wandered(start, 1), wandered(start, 2), start)
    error = null.std() / np.sqrt(len(null))
    assert abs(null.mean()) < max(4 * error, 0.01)
    # Plain correlation would call this agreement.
    pairs = zip(wandered(start, 1)[:50], wandered(start, 2)[:50], strict=True)
    plain = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs]
    assert np.mean(plain) > 0.9


def test_what_both_seeds_do_is_found():
    start, shared = gamma(0), 2 * gamma(5)
    both = [wandered(start + shared, seed) for seed in (1, 2)]
    assert partial_correlation(*both, start).mean() > 0.9


def test_blank_maps_and_maps_that_did_not_move_have_no_value():
    start = gamma(0, 3)
    moved = wandered(start, 1)
    blank = moved.copy()
    blank[0] = 0
    still = moved.copy()
    still[1] = 7 * start[1]
    assert np.isnan(partial_correlation(blank, moved, start)).tolist() == [True, False, False]
    assert np.isnan(partial_correlation(still, moved, start)).tolist() == [False, True, False]


def test_every_pair_of_seeds_has_a_row_per_film_and_one_seed_has_none():
    start = gamma(0, 40)
    tuned = {f"finetune-s{n}": wandered(start + 2 * gamma(9, 40), n) for n in range(3)}
    sets = {
        name: map_set({KEY: stack}, labels=np.zeros(40, int))
        for name, stack in ({"transfer-s0": start} | tuned).items()
    }
    own = {"a": np.arange(40) < 35, "b": np.arange(40) < 30}
    patients = [f"p{n}" for n in range(40)]
    options = {"patients": patients, "own": own, "transfer": "transfer-s0", "seed": 1}
    table = seed_agreement({"a": sets}, tuned=list(tuned), **options)
    assert list(table) == TABLES["seed_agreement"].columns
    assert len(table) == 3 * 40 and table["common"].sum() == 3 * 30
    assert table["own"].sum() == 3 * 35
    assert (table["image_id"] == table["partner_id"]).all()
    means = table[["partial", "partial_other"]].mean()
    assert means["partial"] > 0.8 and abs(means["partial_other"]) < 0.2
    assert seed_agreement({"a": sets}, tuned=["finetune-s0"], **options).empty
