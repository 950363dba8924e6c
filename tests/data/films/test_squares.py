"""Known answers for bringing films and masks to squares."""

import numpy as np
import pytest
from material import encoded, film

from lib.data.films.film import ImageRefused
from lib.data.films.squares import Squares, resize, resize_mask


def test_letterbox_of_a_wide_white_film_is_half_black():
    square = resize(np.full((100, 200), 255, np.uint8), size=64, aspect="letterbox")
    expected = np.zeros((64, 64), np.uint8)
    expected[16:48] = 255
    np.testing.assert_array_equal(square, expected)
    tall = resize(np.full((200, 100), 255, np.uint8), size=64, aspect="letterbox")
    np.testing.assert_array_equal(tall, expected.T)


def test_crop_keeps_the_centre():
    image = np.zeros((40, 120), np.uint8)
    image[:, 40:80] = np.arange(40)
    np.testing.assert_array_equal(resize(image, size=40, aspect="crop"), image[:, 40:80])
    np.testing.assert_array_equal(resize(image.T, size=40, aspect="crop"), image[:, 40:80].T)


def test_shrinking_averages_areas_also_where_the_other_axis_grows():
    stripes = np.tile(np.array([0, 0, 0, 200], np.uint8), (16, 32))
    for aspect in ("squash", "crop"):
        image = stripes if aspect == "squash" else np.tile(stripes, (8, 1))
        np.testing.assert_array_equal(resize(image, size=32, aspect=aspect), 50)


def test_growing_is_linear():
    ramp = np.repeat(np.array([[0, 100]], np.uint8), 2, axis=0)
    assert resize(ramp, size=4, aspect="squash")[0].tolist() == [0, 25, 75, 100]


def test_mask_follows_the_film():
    image = np.zeros((90, 150), np.uint8)
    image[20:60, 50:130] = 255
    for aspect in ("letterbox", "crop", "squash"):
        mask = resize_mask(image > 0, size=30, aspect=aspect)
        assert mask.dtype == bool
        np.testing.assert_array_equal(mask, resize(image, size=30, aspect=aspect) >= 128)
    half_and_quarter = np.array([[1, 1, 1, 0], [0, 0, 0, 0]] * 2, bool)
    assert resize_mask(half_and_quarter, size=2, aspect="crop").tolist() == [[True, False]] * 2


@pytest.mark.parametrize("levels", [(0, 1), (0, 255), (7, 200)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_masks_are_no_films(tmp_path, levels, kind):
    mask = np.full((200, 300), levels[0], np.uint8)
    mask[40:160, 20:120] = levels[1]
    (tmp_path / "mask").write_bytes(
        encoded(mask, kind, **({"quality": 95} if kind == "JPEG" else {}))
    )
    with pytest.raises(ImageRefused, match=r"two grey levels|constant image"):
        Squares(tmp_path, [32], "squash").of_film("mask")


def test_films_of_little_contrast_are_no_masks(tmp_path):
    for number, image in enumerate(
        (film() // 20 + 100, np.clip(film().astype(int) * 3 - 250, 0, 255))
    ):
        (tmp_path / str(number)).write_bytes(encoded(image.astype(np.uint8)))
        Squares(tmp_path, [32], "squash").of_film(str(number))


def test_a_level_far_outside_the_rest_is_told(tmp_path):
    deep = film(height=200, width=300).astype(np.uint16) * 16
    marked = deep.copy()
    marked[:4, :4] = 65535
    for name, image in (("plain", deep), ("marked", marked)):
        (tmp_path / name).write_bytes(encoded(image))
        remarks = Squares(tmp_path, [32], "squash").of_film(name)[1]["remarks"]
        assert ("far outside the rest" in remarks) == (name == "marked")
