"""Fine-tunings from two transfer checkpoints: exact identities, planted shares, broken controls."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from pairs_material import observed
from sklearn.linear_model import LinearRegression

from lib.attribution.maps import MapSet
from lib.drift.agreement import partial_correlation, seed_agreement, start_agreement
from lib.drift.metrics import unit_distance
from lib.drift.pairings import Pairing, compare_cells, pairings
from lib.hypotheses import estimates
from lib.study import load
from lib.study.names import trained
from lib.study.schema import TABLES

KEY, FILMS, SEEDS = ("post_activation", "layercam"), 60, range(3)
PATIENTS = [f"p{n // 2}" for n in range(FILMS)]
OWN = {"resnet50v2": np.ones(FILMS, bool)}


def maps_of(maps):
    labels = np.zeros(len(maps), int)
    ids = np.array([f"film{n:03d}" for n in range(len(maps))])
    return MapSet(ids, labels, labels, np.eye(2)[labels], {KEY: maps}, {KEY[0]: "relu"})


def study(*, shared, of_start, of_seed):
    """Maps that move on a high level, so that scaling them to unit length hardly bends a way."""

    def way(*names):
        return np.random.default_rng([7, *names]).normal(size=(FILMS, 5, 5))

    sets = {}
    for start, mode in enumerate(("finetune", "restarted")):
        before = 50 + 2 * way(1, start)
        sets[f"transfer-s{start}"] = maps_of(before)
        for seed in SEEDS:
            moved = shared * way(2) + of_start * way(3, start) + of_seed * way(4, start, seed)
            sets[f"{mode}-s{seed}"] = maps_of(before + moved)
    return sets


def starts_of(sets):
    names = ["transfer-s0", "transfer-s1"]
    return start_agreement({"resnet50v2": sets}, PATIENTS, OWN, starts=names, seeds=SEEDS, seed=1)


def shares(sets):
    """Share of the drift that both starts have, and that all seeds of the first have."""
    wanted = pairings([0, 1], SEEDS, modes=("finetune", "restarted"))
    support = np.full(FILMS, 2)
    pairs = pd.concat(compare_cells(sets, wanted, PATIENTS, support, seed=1))
    pairs = pairs.assign(architecture="resnet50v2", common=True, own=True)
    parts = estimates.decomposition_table(observed(pairs)).set_index("part")["estimate"]
    found = estimates.start_share_table(observed(starts_of(sets)))
    assert list(found) == TABLES["decomposition"].columns and len(found) == 1
    return found.iloc[0], parts["systematic_share"]


def test_the_shared_way_is_that_of_four_distances():
    """Polarisation: ⟨F − T, F' − T'⟩ = ½ (d(F, T') + d(T, F') − d(F, F') − d(T, T'))."""
    sets = study(shared=3, of_start=2, of_seed=4)
    table = starts_of(sets)
    assert list(table) == TABLES["starts"].columns and len(table) == 3 * FILMS
    assert (table["before"].str[-1] != table["after"].str[-1]).all(), "seeds differ"
    stack = {name: maps.maps[KEY] for name, maps in sets.items()}
    first, second = "transfer-s0", "transfer-s1"

    def d(a, b):
        return unit_distance(stack[a], stack[b])

    for (before, after), rows in table.groupby(["before", "after"]):
        a, b = before[-1], after[-1]
        shared, moved = np.zeros((2, FILMS))
        for f, g in ((f"finetune-s{a}", f"restarted-s{b}"), (f"finetune-s{b}", f"restarted-s{a}")):
            shared += (d(f, second) + d(first, g) - d(f, g) - d(first, second)) / 4
            moved += (d(f, first) + d(g, second)) / 4
        assert rows["shared"].to_numpy() == pytest.approx(shared, abs=1e-12)
        assert rows["moved"].to_numpy() == pytest.approx(moved, abs=1e-12)


@pytest.mark.parametrize(
    ("parts", "of_starts", "of_seeds"),
    [
        ({"shared": 3, "of_start": 0, "of_seed": 0}, 1, 1),
        ({"shared": 0, "of_start": 3, "of_seed": 0}, 0, 1),
        ({"shared": 0, "of_start": 0, "of_seed": 3}, 0, 0),
        ({"shared": 3, "of_start": 3, "of_seed": 3}, 1 / 3, 2 / 3),
    ],
)
def test_planted_shares_are_found(parts, of_starts, of_seeds):
    found, systematic = shares(study(**parts))
    assert found["estimate"] == pytest.approx(of_starts, abs=0.05)
    assert systematic == pytest.approx(of_seeds, abs=0.05)
    assert found["low"] <= found["estimate"] <= found["high"] and found["seeds"] == 3


def test_the_answer_says_what_another_start_shares():
    told = estimates.start_share_table(observed(starts_of(study(shared=3, of_start=0, of_seed=0))))
    parts = told.iloc[[0, 0, 0]].assign(
        part=["way_to_unrelated", "systematic_share", "start_share"]
    )
    (sentence,) = estimates.composition(parts, role=KEY[0], method=KEY[1])
    assert "of it is the same from another transfer checkpoint too" in sentence


def test_both_starts_are_taken_out_of_the_agreement():
    first, second, *given = np.random.default_rng(0).gamma(3, size=(4, 6, 5, 5))
    found = partial_correlation(first, 3 * second, *given)
    for film, r in enumerate(found):
        columns = np.column_stack([stack[film].ravel() for stack in given])
        cells = [stack[film].ravel() for stack in (first, second)]
        left = [x - LinearRegression().fit(columns, x).predict(columns) for x in cells]
        assert r == pytest.approx(np.corrcoef(*left)[0, 1], abs=1e-12)
    once = partial_correlation(first, second, given[0])
    assert partial_correlation(first, second, given[0], 2 * given[0]) == pytest.approx(once)


def test_ways_that_share_nothing_agree_by_chance_only():
    alone = starts_of(study(shared=0, of_start=3, of_seed=3))
    assert abs(alone["partial"].mean()) < 0.05
    assert starts_of(study(shared=6, of_start=0, of_seed=1))["partial"].mean() > 0.8


def test_a_blank_map_has_no_value_and_no_restarted_fine_tuning_no_row():
    sets = study(shared=3, of_start=2, of_seed=4)
    sets["transfer-s1"].maps[KEY][0] = 0
    blank = starts_of(sets).groupby("image_id")["shared"].agg(lambda x: x.isna().all())
    assert blank.tolist() == [True] + [False] * (FILMS - 1)
    table = starts_of({name: maps for name, maps in sets.items() if "restarted" not in name})
    assert table.empty and list(table) == TABLES["starts"].columns
    assert estimates.start_share_table(None).empty


def test_one_start_is_as_before():
    sets = study(shared=3, of_start=2, of_seed=4)
    tuned = [f"finetune-s{seed}" for seed in SEEDS]
    table = seed_agreement(
        {"resnet50v2": sets}, PATIENTS, OWN, transfer="transfer-s0", tuned=tuned, seed=1
    )
    assert list(table) == TABLES["seed_agreement"].columns
    made = list(dict.fromkeys(zip(table["before"], table["after"], strict=True)))
    assert made == list(combinations(tuned, 2))


def test_it_is_asked_for_and_needs_a_second_transfer():
    asked = load.load("phantom", {"controls": ["restarted"], "transfer_seeds": [0, 1]})
    assert asked.modes == ("finetune", "placebo", "restarted")
    assert (
        asked.start_of("restarted") == "transfer-s1" and asked.start_of("placebo") == "transfer-s0"
    )
    assert not trained("restarted-s0"), "it decides on no film"
    found = pairings([0, 1], [0, 2], modes=asked.modes, controls=asked.controls)
    assert Pairing("restarted", "transfer-s1", "restarted-s2") in found
    with pytest.raises(load.ParamsError, match=r"transfer_seeds = \[0\] is one; write two"):
        load.load("phantom", {"controls": ["restarted"]})
