"""Films that are changed by as much as is said, and maps of them in their places."""

import numpy as np
import pytest

from lib.attribution import perturbed
from lib.attribution.maps import MapSet
from lib.data.batches import Films


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


def test_every_changed_film_is_explained_for_its_own_class_in_full_batches():
    films = np.random.default_rng(0).integers(0, 255, size=(5, 16, 16), dtype=np.uint8)
    classes = np.array([0, 1, 2, 1, 0])
    own = MapSet(np.array(list("abcde")), classes, classes, np.eye(3)[classes], {}, {})
    seen = []

    def explain(data, ids, *, batch_size):
        seen.append((len(data), batch_size))
        stack = data.images[data.rows].astype(float)
        return MapSet(
            ids, data.labels, data.labels, np.eye(3)[data.labels], {("r", "m"): stack}, {}
        )

    chosen = np.array([1, 2, 4])
    maps = perturbed.explained(
        explain, Films(films, np.arange(5), classes), own, chosen, seed=1, batch_size=4
    )
    assert seen == [(28, 4)] and len(maps.image_id) == 27, (
        "9 changes of 3 films, filled up to 7 × 4"
    )
    found = perturbed.by_change(maps)
    for name, changed in perturbed.perturbed(films[chosen], seed=1).items():
        assert found[name].image_id.tolist() == ["b", "c", "e"]
        assert found[name].explained_class.tolist() == [1, 2, 0]
        np.testing.assert_array_equal(found[name].maps["r", "m"], changed)
