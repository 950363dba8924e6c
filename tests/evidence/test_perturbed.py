"""Maps that stay, follow, or heed nothing: what is known of them is what is measured."""

import numpy as np
import pytest
from maps_material import map_set

from lib.evidence import perturbed

FILMS, CELLS = 6, 4
PATIENTS = {f"f{n}": f"p{n}" for n in range(FILMS)}
CELL = ("auto_conv", "layercam")


def maps(places, positive):
    """Maps that are all in one of the four cells, and logits that say yes or no."""
    stack = np.eye(CELLS)[np.asarray(places)].reshape(-1, 2, 2)
    logits = np.where(np.asarray(positive)[:, None], [0, 1], [1, 0])
    return map_set({CELL: stack}, labels=np.ones(FILMS, int), ids=list(PATIENTS), logits=logits)


def told(own, **changed):
    decided = lambda logits, classes: logits.argmax(axis=1)  # noqa: E731
    pairs = perturbed.compared(own, changed, decided)
    return perturbed.table_of(pairs.assign(architecture="x", checkpoint="after"), PATIENTS).iloc[0]


YES = np.ones(FILMS, bool)
HALF = np.arange(FILMS) % 2 == 0
HOME, AWAY = np.zeros(FILMS, int), np.ones(FILMS, int)


def test_a_map_that_stays_and_follows_has_both_in_full():
    found = told(maps(HOME, YES), little=maps(np.where(HALF, 0, 1), HALF))
    assert found["resistance"] == 1 and found["relevance"] == 1
    assert found["stay"] == 3 and found["change"] == 3 and found["blank"] == 0


def test_a_map_that_heeds_nothing_resists_and_is_not_relevant():
    found = told(maps(HOME, YES), little=maps(HOME, HALF))
    assert found["resistance"] == 1 and found["relevance"] == 0
    assert found["relevance_low"] == found["relevance_high"] == 0


def test_a_map_that_moves_with_the_film_alone_is_not_relevant_either():
    # The strong change moves every map, the slight one none: predictions do not matter.
    mild, strong = maps(HOME, ~HALF | YES), maps(AWAY, HALF)
    found = told(maps(HOME, YES), mild=mild, strong=strong)
    assert found["resistance"] == pytest.approx((6 * 1 + 3 * 0) / 9)
    assert found["relevance"] == 0 and found["change"] == 3


def test_without_a_change_that_does_both_relevance_is_not_known():
    found = told(maps(HOME, YES), all_change=maps(AWAY, ~YES))
    assert np.isnan(found["resistance"]) and np.isnan(found["relevance"])
    assert found["stay"] == 0 == found["change"]
    found = told(maps(HOME, YES), none_changes=maps(AWAY, YES))
    assert found["resistance"] == 0 and np.isnan(found["relevance"])


def test_blank_maps_are_counted_and_not_scored():
    changed = maps(HOME, YES)
    changed.maps[CELL][0] = 0
    found = told(maps(HOME, YES), little=changed)
    assert found["blank"] == 1 and found["stay"] == FILMS - 1 and found["resistance"] == 1


def test_films_are_changed_by_as_much_as_is_said():
    grey = np.full((4, 64, 64), 128, np.uint8)
    grey[:, :, 32:] = 64  # mean 96
    found = perturbed.perturbed(grey, seed=1)
    assert list(found) == [f"{k} {s}" for k, of in perturbed.STRENGTHS.items() for s in of]
    assert all(films.dtype == np.uint8 and films.shape == grey.shape for films in found.values())
    noise = found["noise 0.02"].astype(float) - grey
    assert noise.std() == pytest.approx(0.02 * 255, rel=0.02) and abs(noise.mean()) < 0.1
    np.testing.assert_array_equal(np.unique(found["contrast 0.5"]), [80, 112])
    blurred = found["blur 0.02"][0, 20].astype(float)
    assert blurred[0] == 128 and blurred[-1] == 64 and np.all(np.diff(blurred) <= 0)
    # A blurred edge is the distribution function of the normal, half a pixel from the step.
    assert blurred[32] == pytest.approx(64 + 64 * 0.35, abs=4)
    again = perturbed.perturbed(grey, seed=1)
    np.testing.assert_array_equal(again["noise 0.3"], found["noise 0.3"])
    assert not np.array_equal(perturbed.perturbed(grey, seed=2)["noise 0.3"], found["noise 0.3"])
