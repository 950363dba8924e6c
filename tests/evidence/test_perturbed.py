"""Maps that stay, follow, or heed nothing: what is known of them is what is measured."""

import numpy as np
import pandas as pd
import pytest
from maps_material import map_set

from lib.attribution.maps import MapSet
from lib.attribution.perturbed import CHANGES
from lib.evidence import perturbed
from lib.study.paths import StudyPaths

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


def test_a_study_is_asked_by_its_files(tmp_path):
    paths = StudyPaths(tmp_path, "s")
    own = maps(HOME, YES)
    chosen = np.array([1, 2, 4])
    changed = {name: maps(np.where(HALF, n % 2, 1), HALF) for n, name in enumerate(CHANGES)}
    sets = {name: of.take(chosen) for name, of in changed.items()}
    stack = np.concatenate([of.maps[CELL] for of in sets.values()])
    logits = np.concatenate([of.logits for of in sets.values()])
    ids, ones = np.tile(own.image_id[chosen], len(CHANGES)), np.ones(len(stack), int)
    MapSet(ids, ones, ones, logits, {CELL: stack}, {}).save(paths.perturbed("resnet50v2", "after"))
    table = perturbed.of_study(paths, {"resnet50v2": {"before": own, "after": own}}, PATIENTS)
    pairs = perturbed.compared(own.take(chosen), sets, lambda logits, _: logits.argmax(axis=1))
    pairs = pairs.assign(architecture="resnet50v2", checkpoint="after")
    pd.testing.assert_frame_equal(table, perturbed.table_of(pairs, PATIENTS))
    assert table["stay"].item() == 18 and table["change"].item() == 9
    (told,) = perturbed.sentences(table, role=CELL[0], method=CELL[1])
    assert told.startswith("ResNet50V2, after: where the prediction stays, the map keeps")
    assert perturbed.of_study(paths, {"resnet50v2": {"before": own}}, PATIENTS).empty


def test_sentences_say_what_is_not_known():
    """Words instead of a number that is none; intervals only where there are any."""
    one = {"architecture": "resnet50v2", "checkpoint": "after", "role": "r", "method": "m"}
    table = pd.DataFrame(
        [[0.9, 0.25, 0.1, 0.4], [0.9, 0.25, np.nan, np.nan], [np.nan, np.nan, np.nan, np.nan]],
        columns=["resistance", "relevance", "relevance_low", "relevance_high"],
    ).assign(**one)
    known, alone, nothing = perturbed.sentences(table, role="r", method="m")
    assert known.endswith(
        "the map keeps 90% of itself; where it changes, it moves by 25% (10% to 40%) more."
    )
    assert alone.endswith("it moves by 25% more.")
    assert "stays, no pair of maps is scored; where it changes, nothing can be said" in nothing
