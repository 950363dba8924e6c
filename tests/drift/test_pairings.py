"""Known answers for the choice of unrelated films and outcome strata."""

import numpy as np
import pytest

from lib.drift import pairings


def assert_partners_valid(partner, labels, patients):
    assert (labels[partner] == labels).all()
    assert (patients[partner] != patients).all()


@pytest.mark.parametrize("seed", range(20))
def test_partners_are_a_permutation_where_one_exists(seed):
    generator = np.random.default_rng(100 + seed)
    labels = np.array(["normal", "viral"])[generator.integers(2, size=60)]
    patients = np.char.add(labels, generator.integers(8, size=60).astype(str))
    partner = pairings.unrelated_pairs(labels, patients, seed=seed)
    assert_partners_valid(partner, labels, patients)
    assert sorted(partner) == list(range(60))


@pytest.mark.parametrize("seed", range(10))
def test_patient_with_exactly_half_of_the_images_still_permits_a_permutation(seed):
    labels, patients = np.zeros(8, dtype=int), np.array([1, 1, 1, 1, 2, 2, 3, 4])
    partner = pairings.unrelated_pairs(labels, patients, seed=seed)
    assert_partners_valid(partner, labels, patients)
    assert sorted(partner) == list(range(8))


def test_patient_with_most_images_forces_repeats():
    labels, patients = np.zeros(5, dtype=int), np.array([1, 1, 1, 1, 2])
    partner = pairings.unrelated_pairs(labels, patients, seed=0)
    assert partner[:4].tolist() == [4, 4, 4, 4] and partner[4] in range(4)


def test_label_of_one_patient_has_no_partners():
    labels, patients = ["covid", "covid", "normal", "normal"], ["p1", "p1", "p2", "p3"]
    assert pairings.unrelated_pairs(labels, patients, seed=0).tolist() == [-1, -1, 3, 2]


def test_partners_follow_the_seed_and_reach_every_arrangement():
    def draw(seed):
        return tuple(pairings.unrelated_pairs([0, 0, 0], [1, 2, 3], seed=seed).tolist())

    assert draw(5) == draw(5)
    assert {draw(seed) for seed in range(40)} == {(1, 2, 0), (2, 0, 1)}


def test_outcome_strata():
    a, b = np.array([True, False, True, False]), np.array([True, True, False, False])
    expected = ["kept-correct", "rescued", "lost", "kept-wrong"]
    assert pairings.outcome_strata(a, b).tolist() == expected


@pytest.mark.parametrize(
    ("labels", "patients", "message"),
    [
        ([1, 2], [1], r"patients: found shape \(1,\)"),
        (["a", None], [1, 2], "labels: found 1 missing"),
    ],
)
def test_wrong_input_names_what_was_found_and_expected(labels, patients, message):
    with pytest.raises(ValueError, match=message):
        pairings.unrelated_pairs(labels, patients, seed=0)
