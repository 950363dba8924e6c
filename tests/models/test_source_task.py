"""The drawn source task: what is drawn lies where it is said to, and training can be resumed."""

import keras
import numpy as np
import pytest

from lib.data.phantoms import source_films
from lib.data.phantoms.chest import Chest
from lib.data.phantoms.draw import pose, random_for, sample
from lib.data.phantoms.findings import FINDINGS, LEVELS, PAIRS, PLACES
from lib.data.phantoms.shapes import Film
from lib.models import source_task
from lib.models.source_task import Phase, Recipe
from lib.study.architectures import ARCHITECTURES
from lib.study.names import CLASSES

pytestmark = pytest.mark.network

SEED = 11


def test_a_film_depends_on_its_number_and_seed_alone():
    one, again = (source_films.draw(3, seed=SEED, size=96) for _ in range(2))
    for name in ("image", "pairs", "cells", "measures"):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
    assert (source_films.draw(4, seed=SEED, size=96).image != one.image).mean() > 0.5
    assert (source_films.draw(3, seed=SEED + 1, size=96).image != one.image).mean() > 0.5


def _lung_coordinates(number, *, size):
    """For every cell of a film: side, and the share of the way from apex to diaphragm."""
    random = random_for(SEED, 7919, number, 1)
    body = sample(source_films._BODIES, random)
    view = sample(source_films._VIEWS, random)
    chest, film = Chest(body, view.inspiration), Film(size, pose(view))
    centres = (np.mgrid[:size, :size][::-1].reshape(2, -1).T + 0.5) / size
    inverse = np.linalg.inv(film.pose[:, :2])
    x, y = ((centres - film.pose[:, 2]) @ inverse.T).T
    base = chest.dome(1, 0.5)
    return np.where(x < 0.5, -1, 1), (y - chest.apex) / (base - chest.apex)


@pytest.mark.parametrize("row", range(0, len(PAIRS), 7))
def test_a_finding_lies_in_the_place_that_it_is_said_to_have(row):
    """The centre of what it covers, turned back into the patient's coordinates."""
    name, (side, level, _) = PAIRS[row]
    hits = 0
    for number in range(4):
        film = source_films.draw(number, seed=SEED, pairs=[row])
        assert film.pairs.sum() == 1 and film.pairs[row]
        cells = film.cells.astype(float).sum(-1)
        assert np.flatnonzero(film.cells.sum((0, 1))).tolist() in ([], [list(FINDINGS).index(name)])
        if not cells.any():
            continue  # hidden behind the heart or off the film
        sides, down = _lung_coordinates(number, size=source_films.CELLS)
        weights = cells.ravel() / cells.sum()
        assert weights[sides == side].sum() > 0.85
        low, high = LEVELS[level]
        hits += low - 0.2 < weights @ down < high + 0.25
    assert hits >= 3


def test_no_finding_is_drawn_where_it_would_be_one_of_the_classes():
    assert not set(FINDINGS) & set(CLASSES)
    places = {name: finding.places for name, finding in FINDINGS.items()}
    assert all(set(each) <= set(PLACES) and each for each in places.values())
    for name in ("scattered_nodules", "cyst", "widened_bronchi", "streaks"):  # tuberculosis
        assert not [place for place in places[name] if place[1] == "upper"]
    assert not [p for p in places["haze"] if p[2] == "peripheral" and p[1] != "upper"]  # COVID-19
    assert not [place for place in places["net"] if place[2] == "central"]  # viral pneumonia


def test_a_film_without_findings_has_no_covered_cell():
    film = source_films.draw(0, seed=SEED, pairs=[])
    assert not film.cells.any() and not film.pairs.any()
    assert np.abs(film.measures).max() <= 1
    assert len(film.measures) == len(source_films.MEASURES)


def test_a_cell_of_a_map_has_what_any_of_its_finer_cells_has():
    cells = np.zeros((1, 24, 24, 2), np.uint8)
    cells[0, 23, 0, 1] = 64  # a quarter of the cell at the lower left
    cells[0, 5, 12, 0] = 16
    known = source_task.answers(
        source_films.SourceSet(None, None, np.zeros((1, 3), bool), cells, np.zeros((1, 2))),
        np.array([0]), {"coarse": 4, "odd": 5},
    )  # fmt: skip
    assert known["coarse"].shape == (1, 4, 4, 2) and known["odd"].shape == (1, 5, 5, 2)
    for grid, column in (("coarse", 2), ("odd", 2)):
        side = known[grid].shape[1]
        assert known[grid][0, side - 1, 0, 1] == 1
        assert known[grid][0, 5 * side // 24, column, 0] == pytest.approx(16 * 4 / 255)
        assert known[grid].sum() == pytest.approx(1 + 64 / 255)


@pytest.fixture(scope="module")
def few_films(tmp_path_factory):
    root = tmp_path_factory.mktemp("source")
    return source_films.write_set(root, films=56, seed=SEED, report=lambda line: None)


def test_an_interrupted_drawing_continues_to_the_same_films(few_films, tmp_path):
    def stop(line):
        if line.startswith("20 "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        source_films.write_set(tmp_path, films=56, seed=SEED, piece=20, report=stop)
    folder = source_films.set_folder(tmp_path, films=56, seed=SEED)
    assert not source_films.open_set(folder).images[20:].any()
    again = source_films.write_set(tmp_path, films=56, seed=SEED, report=lambda line: None)
    np.testing.assert_array_equal(again.images, few_films.images)
    np.testing.assert_array_equal(again.cells, few_films.cells)


RECIPE = Recipe((Phase(48, 32, 1e-3), Phase(64, 32, 1e-3, 0.0)), batch_size=8, piece=16)


def _small(size):
    """A backbone of two maps."""
    films = keras.Input((size, size, 3))
    x = keras.layers.Rescaling(1 / 255)(films)
    x = keras.layers.Conv2D(4, 3, strides=8, padding="same", activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    return keras.Model(films, x)


def test_a_resumed_training_equals_an_unbroken_one(few_films, tmp_path, monkeypatch):
    """Broken off after the first piece of the second phase."""
    monkeypatch.setattr(source_task, "HELD_OUT", 8)
    options = {"seed": 1, "recipe": RECIPE, "make": _small}
    whole, curve = source_task.train(
        "tiny", few_films, tmp_path / "whole", report=lambda line: None, **options
    )
    lines = []

    def stop(line):
        lines.append(line)
        if sum(line.startswith("epoch") for line in lines) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        source_task.train("tiny", few_films, tmp_path / "broken", report=stop, **options)
    broken, again = source_task.train(
        "tiny", few_films, tmp_path / "broken", report=lines.append, **options
    )
    assert [line[:7] for line in lines].count("epoch 1") == 2
    for one, other in zip(whole.get_weights(), broken.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    assert curve["films"].tolist() == again["films"].tolist() == [16, 32, 16, 32]
    # A finished training is read, not repeated.
    lines.clear()
    read, _ = source_task.train(
        "tiny", few_films, tmp_path / "whole", report=lines.append, **options
    )
    assert not lines
    np.testing.assert_array_equal(read.get_weights()[0], whole.get_weights()[0])


def test_every_backbone_has_a_recipe_that_its_films_suffice_for():
    assert set(source_task.RECIPES) == set(ARCHITECTURES)
    for name, recipe in source_task.RECIPES.items():
        for phase in recipe.phases:
            assert phase.films % recipe.piece == 0 and recipe.piece % recipe.batch_size == 0
            assert phase.size >= ARCHITECTURES[name].minimum_size
