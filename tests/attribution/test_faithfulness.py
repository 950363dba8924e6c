"""Deletion and insertion: known areas, random maps, and that a map is asked about fairly."""

import numpy as np
import pytest

from lib.attribution.faithfulness import curves
from lib.attribution.maps import MapSet

SIZE, GRID = 40, (5, 5)
SPOT = (1, 3)
"""The cell that the network below looks at."""
ONLY = ("auto_conv", "layercam")


def bright_spot(count=6, seed=0):
    """Dark noisy films with one bright cell."""
    films = np.random.default_rng(seed).integers(0, 20, (count, SIZE, SIZE)).astype(np.uint8)
    films[:, 8 * SPOT[0] : 8 * SPOT[0] + 8, 8 * SPOT[1] : 8 * SPOT[1] + 8] = 250
    return films


def sees_the_spot(films):
    """Logits of a network that is sure of class 1 while the cell is bright, else of class 0."""
    cell = films[:, 8 * SPOT[0] + 3, 8 * SPOT[1] + 3].astype(float)
    return np.stack([np.zeros(len(films)), np.where(cell > 200, 50, -50)], axis=1)


def map_set(maps, key=ONLY):
    count = len(maps)
    ones = np.ones(count, int)
    ids = np.array([f"f{n}" for n in range(count)])
    return MapSet(ids, ones, ones, np.zeros((count, 2)), {key: maps}, {key[0]: "x"})


def pointing(cell, count=6):
    maps = np.random.default_rng(1).random((count, *GRID))
    maps[:, *cell] = 2
    return maps


def asked(maps, **options):
    chosen = np.arange(len(maps))
    options = {"seed": 4} | options
    return curves(sees_the_spot, bright_spot(len(maps)), map_set(maps), chosen, **options)


def test_a_map_of_the_only_cell_that_matters_has_the_best_areas():
    found = asked(pointing(SPOT))
    # At 0, 0.2, 0.5, 1: gone with the first fifth, 1, 0, 0, 0; there with it, 0, 1, 1, 1.
    assert found["deletion"].to_numpy() == pytest.approx(0.1)
    assert found["insertion"].to_numpy() == pytest.approx(0.9)


def test_a_map_that_ranks_it_last_has_the_worst():
    maps = pointing((0, 0))
    maps[:, *SPOT] = 0
    found = asked(maps)
    assert found["deletion"].to_numpy() == pytest.approx(0.75)
    assert found["insertion"].to_numpy() == pytest.approx(0.25)


def test_random_maps_and_flat_ones_have_the_areas_of_chance():
    count = 300
    found = asked(np.random.default_rng(8).random((count, *GRID)))
    # The chance that the cell is among 5 of 25 at random, then among 13.
    shown = np.trapezoid([0, 5 / 25, 13 / 25, 1], [0, 0.2, 0.5, 1])
    expected = 1 - shown
    for ending in ("", "_random"):
        assert found[f"insertion{ending}"].mean() == pytest.approx(shown, abs=0.07)
        assert found[f"deletion{ending}"].mean() == pytest.approx(expected, abs=0.07)
    # Cells that a map holds equal come in a random order and not from the corner on.
    half = np.zeros((count, *GRID))
    half[:, 4, 4] = 1
    flat = asked(half)
    assert flat["deletion"].mean() == pytest.approx(expected, abs=0.07)


def test_a_sigmoid_is_asked_for_its_own_finding_whatever_the_others_say():
    def two_findings(films):
        own = sees_the_spot(films)[:, 1]
        return np.stack([np.full(len(films), 90.0), own], axis=1)

    def sigmoid(logits, findings):
        return 1 / (1 + np.exp(-logits[np.arange(len(logits)), findings]))

    maps = pointing(SPOT)
    told = [two_findings, bright_spot(len(maps)), map_set(maps), np.arange(len(maps))]
    found = curves(*told, seed=4, probability=sigmoid)
    assert found["insertion"].to_numpy() == pytest.approx(0.9)
    assert curves(*told, seed=4)["insertion"].to_numpy() == pytest.approx(0)  # of a softmax


def test_blank_maps_have_no_answer_and_scale_none():
    maps = pointing(SPOT)
    plain = asked(maps)
    maps[2] = 0
    found = asked(7 * maps)
    assert found.loc[2, ["deletion", "insertion", "deletion_random"]].isna().all()
    left = found.index != 2
    np.testing.assert_array_equal(found[left].iloc[:, 3:], plain[left].iloc[:, 3:])


def test_only_the_chosen_films_are_asked_and_each_altered_film_once():
    maps, calls = pointing(SPOT, 20), []

    def counted(films):
        calls.append(len(films))
        assert films.dtype == np.uint8 and films.shape[1:] == (SIZE, SIZE)
        return sees_the_spot(films)

    twice = map_set(maps)
    twice.maps["stage4", "gradcam"] = 2 * np.repeat(np.repeat(maps, 2, axis=1), 2, axis=2)
    twice.maps["post_activation", "layercam"] = 3 * maps
    chosen = np.arange(3, 20, 2)
    found = curves(counted, bright_spot(20)[chosen], twice, chosen, seed=4)
    assert found["image_id"].tolist() == [f"f{n}" for n in chosen] * 3
    # Whole and blurred film, and for both curves two steps of four orders: those of two layers are
    # the same cells, and the finer one's fifth is the same part of the film.
    assert sum(calls) == len(chosen) * (2 + 2 * (3 + 4))
    same = found["deletion"].to_numpy().reshape(3, -1)
    np.testing.assert_array_equal(same[0], same[2])


@pytest.mark.network
def test_logits_of_altered_films_go_through_the_graph_of_the_maps(tiny_model):
    from tiny_models import films, pixels

    from lib.attribution.explainer import Explainer

    model, data = tiny_model(), films(7)
    explain = Explainer(model, {"top": model.get_layer("top")})
    maps = explain(data, [f"f{n}" for n in range(7)], batch_size=4)
    np.testing.assert_allclose(explain.logits(data.images), maps.logits, rtol=1e-4, atol=1e-5)
    expected = model.predict(pixels(data), verbose=0)
    np.testing.assert_allclose(explain.logits(data.images), expected, rtol=1e-4, atol=1e-5)
    traces = explain._run.experimental_get_tracing_count()
    explain.logits(data.images[:5])
    assert explain._run.experimental_get_tracing_count() == traces
