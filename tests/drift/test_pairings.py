"""Known answers for the choice of unrelated films, outcome strata and common support."""

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


def test_common_support_needs_every_checkpoint():
    correct = np.array([[True, True, False], [True, False, False], [True, True, True]])
    assert pairings.common_support(correct).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pairings.unrelated_pairs([1, 2], [1], seed=0), r"patients: found shape \(1,\)"),
        (lambda: pairings.unrelated_pairs(["a", None], [1, 2], seed=0), "labels: found 1 missing"),
        (lambda: pairings.outcome_strata([True], [1]), "correct_b: found int64 of shape"),
        (lambda: pairings.outcome_strata([True], [True, False]), r"correct_b: found shape \(2,\)"),
        (lambda: pairings.common_support([True, False]), "correct: found bool .*2 dimension"),
        (
            lambda: pairings.common_support(np.ones((0, 4), bool)),
            r"correct: found bool of .*\(0, 4\)",
        ),
    ],
)
def test_wrong_input_names_what_was_found_and_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()
