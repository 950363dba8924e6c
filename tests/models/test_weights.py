"""Pictures drawn from formulas: the fractals of the source task, the phantoms as files."""

import cv2
import numpy as np
import pandas as pd
import pytest

from lib.data.index import read_index
from lib.data.phantoms import cohort, draw
from lib.models import fractals
from lib.study.data_params import PhantomData
from lib.study.errors import ArtefactError
from lib.study.params import Fractal

FRACTALS = Fractal(categories=3, images_per_category=4, size=75)


@pytest.fixture(scope="module")
def drawn():
    return fractals.draw_set(FRACTALS, seed=5)


def test_fractals_are_grey_films_in_balanced_categories(drawn):
    images, categories = drawn
    assert images.dtype == np.uint8 and images.shape == (12, 75, 75)
    assert np.bincount(categories).tolist() == [4, 4, 4]
    assert np.any(np.diff(categories) < 0), "the categories have to be mixed"
    assert len(np.unique(images.reshape(12, -1), axis=0)) == 12
    assert images.reshape(12, -1).std(axis=1).min() > 10  # none is a plain surface


def test_fractals_depend_on_the_seed_alone(drawn):
    np.random.default_rng().random(5)
    for one, again in zip(drawn, fractals.draw_set(FRACTALS, seed=5), strict=True):
        np.testing.assert_array_equal(one, again)
    other, _ = fractals.draw_set(FRACTALS, seed=6)
    assert not any((image == drawn[0]).all(axis=(1, 2)).any() for image in other)


def test_more_categories_leave_the_earlier_ones_alone():
    few, many = (fractals.find_systems(count, seed=2) for count in (2, 4))
    for (maps, chances), (same_maps, same_chances) in zip(few, many[:2], strict=True):
        np.testing.assert_array_equal(maps, same_maps)
        np.testing.assert_array_equal(chances, same_chances)
    for maps, chances in many:
        assert maps.shape[1:] == (2, 3) and np.abs(maps).max() <= 1
        assert chances.sum() == pytest.approx(1) and chances.min() > 0


def test_the_chaos_game_draws_the_attractor_of_known_maps():
    """Three halvings towards the corners of a triangle: its middle stays empty at every scale."""
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    maps = np.stack([np.column_stack([np.eye(2) / 2, corner / 2]) for corner in corners])
    points = fractals._points(maps, np.full(3, 1 / 3), np.random.default_rng(0))
    x, y = points.T
    # Sierpinski's right triangle. The outer half per cent is cut off, which moves points by < 0.02.
    margin = 0.02
    for _ in range(3):  # from the whole to an eighth, where the margin has grown to 0.08
        hole = (x < 0.5 - margin) & (y < 0.5 - margin) & (x + y > 0.5 + 2 * margin)
        assert not hole.any()
        right, top = x > 0.5, y > 0.5
        for share in (right.mean(), top.mean(), (~right & ~top).mean()):
            assert share == pytest.approx(1 / 3, abs=0.02)
        x, y, margin = 2 * x % 1, 2 * y % 1, 2 * margin


def test_systems_that_diverge_or_collapse_are_refused():
    generator, one = np.random.default_rng(0), np.ones(1)
    growing = np.array([[[3.0, 0, 1], [0, 3.0, 1]]])
    assert fractals._points(growing, one, generator) is None
    shrinking = np.array([[[0.5, 0, 0.2], [0, 0.5, 0.1]]])  # every walker ends in one point
    assert fractals._points(shrinking, one, generator) is None


PHANTOMS = PhantomData(
    patients_per_class=2, images_per_patient=(1, 2), size=64, shortcut=1.0, shortcut_class="covid19"
)
NAMES = ("normal", "covid19", "tuberculosis")
LISTING = draw.cohort(PHANTOMS, seed=3, classes=NAMES)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    return cohort.write_cohort(PHANTOMS, folder, classes=NAMES, seed=3)


def grey(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_a_cohort_enters_through_the_door_of_films(index):
    table = read_index(index, classes=NAMES)
    for column in ("image_id", "label", "patient_id"):
        assert table[column].tolist() == LISTING[column].tolist()
    assert table["patient_known"].all() and (table["split"] == "").all()
    assert table.groupby("label")["patient_id"].nunique().to_dict() == dict.fromkeys(NAMES, 2)
    assert (table["marker"] == "1").tolist() == (table["label"] == "covid19").tolist()


def test_files_of_a_cohort_are_the_drawn_phantoms_with_their_masks(index):
    table = read_index(index, classes=NAMES)
    for row, made in zip(table.itertuples(), LISTING.itertuples(), strict=True):
        drawing = draw.draw(
            made.label, patient_seed=made.patient_seed, image_seed=made.image_seed, size=64,
            conspicuity=PhantomData().conspicuity, marker=made.marker,
        )  # fmt: skip
        np.testing.assert_array_equal(grey(index.parent / row.file), drawing.image)
        lungs, lesion = grey(index.parent / row.lung_mask), grey(index.parent / row.lesion_mask)
        np.testing.assert_array_equal(lungs, np.where(drawing.lungs, 255, 0))
        np.testing.assert_array_equal(lesion, np.where(drawing.lesion, 255, 0))
        assert lungs.any() and lesion.any() == (row.label != "normal")
        assert not np.any((lesion > 0) & (lungs == 0)), "a lesion lies within the lungs"


def test_the_same_seed_writes_the_same_bytes(index, tmp_path):
    again = cohort.write_cohort(PHANTOMS, tmp_path, classes=NAMES, seed=3)
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    there = sorted(p.relative_to(index.parent) for p in index.parent.rglob("*") if p.is_file())
    listing = pd.read_csv(again)
    kinds = ["file", "lung_mask", "lesion_mask", "marker_mask"]
    assert files == there and len(files) == listing[kinds].size + 1
    assert all(
        (tmp_path / file).read_bytes() == (index.parent / file).read_bytes() for file in files
    )


def test_a_film_that_cannot_be_written_is_named_and_the_index_is_not_written(tmp_path):
    second = LISTING["image_id"].iloc[1]
    (tmp_path / f"lungs/{second}.png").mkdir(parents=True)
    with pytest.raises(ArtefactError, match=rf"lungs/{second}\.png: could not be written \(Is a"):
        cohort.write_cohort(PHANTOMS, tmp_path, classes=NAMES, seed=3)
    assert not (tmp_path / "phantoms.csv").exists()


def test_a_cohort_without_the_default_shortcut_class(tmp_path):
    params = PhantomData(patients_per_class=1, size=64)
    index = cohort.write_cohort(params, tmp_path, classes=("normal", "tuberculosis"), seed=1)
    assert set(pd.read_csv(index)["label"]) == {"normal", "tuberculosis"}
