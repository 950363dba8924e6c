"""The C-Score pair by pair, and what counts for it."""

from itertools import combinations

import numpy as np
import pytest
from maps_material import map_set

from lib.drift.consistency import c_score, consistency_table
from lib.study.schema import check

KEY = ("stage4", "layercam")


def maps(count=6, seed=0):
    return np.random.default_rng(seed).gamma(2, size=(count, 4, 4))


def test_it_is_the_weighted_mean_over_all_pairs():
    stack, confidence = maps(), np.linspace(0.2, 1, 6)
    total = weight = 0.0
    for i, j in combinations(range(6), 2):
        a, b = stack[i] / stack[i].sum(), stack[j] / stack[j].sum()
        both = confidence[i] * confidence[j]
        total += both * np.minimum(a, b).sum() / np.maximum(a, b).sum()
        weight += both
    assert c_score(stack, confidence) == pytest.approx(total / weight, abs=1e-12)
    assert c_score(np.repeat(stack[:1], 4, axis=0), confidence[:4]) == pytest.approx(1)
    apart = np.eye(16).reshape(16, 4, 4)
    assert c_score(apart, np.ones(16)) == 0
    assert np.isnan(c_score(stack[:1], confidence[:1]))
    # A film of which the network is not sure at all does not count.
    confidence = np.array([1, 1, 1, 1, 1, 0.0])
    assert c_score(stack, confidence) == pytest.approx(c_score(stack[:5], confidence[:5]))


def test_wrong_films_and_blank_maps_are_left_out_and_counted():
    stack = maps(8)
    stack[1] = 0
    found = map_set({KEY: stack}, labels=[0, 0, 0, 0, 0, 1, 1, 1], wrong=[0])
    table = consistency_table(
        {"resnet50v2": {"transfer-s0": found, "other": found}}, ["transfer-s0", "finetune-s0"],
        classes=("a", "b"),
    )  # fmt: skip
    check("consistency", table)
    assert table[["label", "films", "blank"]].to_numpy().tolist() == [["a", 4, 1], ["b", 3, 0]]
    equal = np.ones(3)
    assert table["c_score"].tolist() == pytest.approx(
        [c_score(stack[2:5], equal), c_score(stack[5:], equal)]
    )
