"""Known answers for remedies and region controls, from a film's pixels to the cached squares."""

import cv2
import numpy as np
import pytest
from material import CLASSES, encoded, film, read_image

from lib import __main__ as commands
from lib.data import cache as image_cache
from lib.data.audit.measures import measure
from lib.data.films import treat
from lib.data.films.film import Film, ImageRefused, eight_bit
from lib.data.films.squares import resize, resize_mask
from lib.data.index import read_index
from lib.study import load
from lib.study.data_params import Remedies
from lib.study.errors import DataError, ParamsError
from lib.study.load import parse_overrides

RAMP = np.tile(np.arange(101, dtype=np.uint8), (60, 1))
LUNGS = np.zeros((60, 101), bool)
LUNGS[20:40, 30:71] = True


def treated(grey, lungs=None, **settings):
    return treat.apply(grey, Remedies(**settings), lungs=lungs)


def test_nothing_is_done_by_default():
    assert not Remedies().active and Remedies().in_words() == "none"
    np.testing.assert_array_equal(treated(film()), film())
    deep = film().astype(np.uint16) * 11
    np.testing.assert_array_equal(treated(deep), eight_bit(deep))
    assert load.load("phantom").data.remedies == Remedies()


def test_the_border_is_cut_by_its_share_of_each_side():
    np.testing.assert_array_equal(treated(RAMP, border_crop=0.1), RAMP[6:-6, 10:-10])
    mask = treat.apply_to_mask(LUNGS, Remedies(border_crop=0.1))
    np.testing.assert_array_equal(mask, LUNGS[6:-6, 10:-10])


def test_percentile_window_in_closed_form():
    """Of 0 to 100 in equal shares, percentile p is p: black is 1, white is 99."""
    expected = np.rint(np.clip((np.arange(101) - 1) / 98, 0, 1) * 255)
    np.testing.assert_array_equal(treated(RAMP, intensity="percentile")[7], expected)
    # At the depth of the file: one white mark does not leave twenty levels for the film.
    deep = RAMP.astype(np.uint16) * 10
    deep[0, 0] = 65535
    assert np.unique(eight_bit(deep)).size <= 6
    assert np.abs(treated(deep, intensity="percentile")[7] - expected).max() <= 1


def test_percentile_window_of_one_level_is_refused():
    flat = np.full((40, 40), 7, np.uint8)
    flat[0, 0] = 9
    with pytest.raises(ImageRefused, match="percentiles 1 and 99 are both 7"):
        treated(flat, intensity="percentile")


def test_clahe_is_that_of_opencv():
    equalised = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8))
    np.testing.assert_array_equal(treated(film(), intensity="clahe"), equalised.apply(film()))
    deep = film().astype(np.uint16) * 200
    np.testing.assert_array_equal(
        treated(deep, intensity="clahe"), eight_bit(equalised.apply(deep))
    )


def test_common_resolution_keeps_proportions_and_means():
    assert treated(film(height=40, width=48), common_resolution=96).shape == (80, 96)
    assert treated(film(height=48, width=40), common_resolution=32).shape == (32, 27)
    tiles = np.kron(film(height=40, width=48), np.ones((4, 4), np.uint8))
    np.testing.assert_array_equal(treated(tiles, common_resolution=48), film(height=40, width=48))
    # Smooth in, smooth out: up and down again is the same film but for rounding.
    up = treated(film(height=40, width=48), common_resolution=192)
    assert (
        np.abs(treated(up, common_resolution=48) - film(height=40, width=48).astype(int)).max() <= 3
    )


def test_films_that_differ_in_resolution_alone_become_alike():
    """The sharpness of the original no longer tells the source; by itself `resize` keeps it."""
    large = np.random.default_rng(3).integers(0, 256, (400, 480)).astype(np.uint8)
    small = cv2.resize(large, (48, 40), interpolation=cv2.INTER_AREA)
    apart, alike = (
        np.abs(
            np.subtract(*(resize(image, size=120, aspect="squash").astype(int) for image in two))
        )
        for two in (
            (large, small),
            [treated(image, common_resolution=48) for image in (large, small)],
        )
    )
    assert alike.max() == 0 and apart.max() > 3


@pytest.mark.parametrize("region", ["lungs_only", "lungs_masked_out", "frame_only"])
def test_what_is_hidden_is_black_and_has_no_say(region):
    kept = {"lungs_only": LUNGS, "lungs_masked_out": ~LUNGS}.get(region)
    if kept is None:
        kept = np.ones(LUNGS.shape, bool)
        kept[12:-12, 20:-20] = False  # a fifth of each side
    deep = (RAMP.astype(np.uint16) + 1) * 9
    other = np.where(kept, deep, np.random.default_rng(0).integers(0, 65536, deep.shape))
    for intensity in ("none", "percentile", "clahe"):
        settings = {"region": region, "frame_width": 0.2, "intensity": intensity}
        first = treated(deep, LUNGS, **settings)
        assert not first[~kept].any() and first[kept].any()
        again = treated(other.astype(np.uint16), LUNGS, **settings)
        np.testing.assert_array_equal(first, again)
    plain = treated(RAMP + np.uint8(50), LUNGS, region=region, frame_width=0.2)
    np.testing.assert_array_equal(plain, np.where(kept, RAMP + np.uint8(50), 0))


def test_a_mask_of_another_resolution_is_brought_to_its_film():
    small = LUNGS[::2, ::2]
    shown = treated(RAMP + np.uint8(1), small, region="lungs_only")
    assert (shown > 0).mean() == pytest.approx(LUNGS.mean(), abs=0.02)


def test_films_of_which_nothing_is_left_are_refused():
    with pytest.raises(
        ImageRefused, match=r"no lung mask \(data\.remedies\.region=lungs_only needs"
    ):
        treated(RAMP, region="lungs_only")
    with pytest.raises(ImageRefused, match="nothing is left of the film"):
        treated(RAMP, np.zeros_like(LUNGS), region="lungs_only")
    with pytest.raises(ImageRefused, match="constant image"):
        treated(np.where(LUNGS, np.uint8(9), RAMP), LUNGS, region="lungs_only")


def test_squares_masks_and_measures_follow(collection, tmp_path):
    index = read_index(collection, classes=CLASSES)
    inside = np.zeros((40, 48), np.uint8)
    inside[10:30, 12:36] = 255
    (collection / "lungs.png").write_bytes(encoded(inside))
    index["lung_mask"] = ["lungs.png"] * 11 + [""]
    how = Remedies(border_crop=0.1, common_resolution=96, intensity="clahe", region="lungs_only")
    settings = {"sizes": [24], "aspect": "letterbox", "folder": tmp_path, "remedies": how}
    manifest, rejected = image_cache.build(index, collection, measure=measure, **settings)
    assert rejected["reason"].tolist() == [
        "no lung mask (data.remedies.region=lungs_only needs one)"
    ]
    lungs = inside >= 128
    expected = treat.apply(read_image(collection / index["file"][0]), how, lungs=lungs)
    assert expected.shape == (81, 96)  # 32 × 38 pixels are left of 40 × 48, brought to 96
    cache = image_cache.load(tmp_path / "images_24.npy")
    np.testing.assert_array_equal(cache[0], resize(expected, size=24, aspect="letterbox"))
    image_cache.build_masks(manifest, collection, **settings)
    mask = image_cache.load(tmp_path / "lungs_24.npy")[0]
    shape = treat.apply_to_mask(lungs, how)
    assert shape.shape == expected.shape
    np.testing.assert_array_equal(mask, resize_mask(shape, size=24, aspect="letterbox"))
    assert (cache[0] > 0)[
        ~cv2.dilate(mask.astype(np.uint8), np.ones((3, 3))).astype(bool)
    ].sum() == 0
    plain, _ = image_cache.build(
        index, collection, measure=measure, sizes=[24], aspect="letterbox", folder=tmp_path
    )
    both = plain.merge(manifest, on="image_id", suffixes=("", "_after"))
    for column in ("phash", "sha256", "width", "height", "bytes"):
        assert both[column].equals(both[f"{column}_after"])
    assert (both["mean_after"] < both["mean"]).all() and (both["border_black_after"] == 1).all()


def test_measures_of_a_treated_film_are_those_of_what_is_shown():
    shown = film(height=64, width=64)
    whole = Film(shown, "PNG")
    half = shown // 2
    both = measure(whole, shown, 10, half), measure(whole, half, 10, half)
    assert {**both[0], "phash": ""} == {**both[1], "phash": ""}
    assert both[0]["phash"] == measure(whole, shown, 10, shown)["phash"]


def test_a_region_without_masks_is_an_error_at_the_start(collection, tmp_path):
    words = f"data.source={collection} classes=[normal,covid19] data.remedies.region="
    commands.check_data(load.load("real", parse_overrides(f"{words}frame_only")))
    message = r"region = 'lungs_masked_out': needs the lungs, a column lung_mask .* found no such"
    with pytest.raises(ParamsError, match=message):
        commands.check_data(load.load("real", parse_overrides(f"{words}lungs_masked_out")))
    index = read_index(collection, classes=CLASSES).assign(lung_mask="")
    with pytest.raises(DataError, match=r"found only blanks in it.*frame_only, which needs none"):
        image_cache.build(
            index, collection, sizes=[24], aspect="crop", folder=tmp_path / "c",
            remedies=Remedies(region="lungs_only"),
        )  # fmt: skip
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("common_resolution=16", "remedies.common_resolution = 16: Input should be greater than"),
        ("common_resolution=true", "remedies.common_resolution = True: "),
        ("border_crop=0.5", "remedies.border_crop = 0.5: Input should be less than or equal"),
        ("intensity=histogram", "'none', 'percentile' or 'clahe'"),
        ("region=lungs", "'lungs_only', 'lungs_masked_out' or 'frame_only'"),
        ("border_crops=0.1", "did you mean 'border_crop'?"),
    ],
)  # fmt: skip
def test_wrong_remedies_are_named(text, message):
    with pytest.raises(ParamsError) as caught:
        load.load("phantom", parse_overrides(f"data.remedies.{text}"))
    assert message in str(caught.value)


def test_a_crop_that_takes_the_frame_away_is_an_error():
    words = "data.remedies.region=frame_only data.remedies.border_crop=0.2"
    with pytest.raises(ParamsError, match="cuts off the frame that region=frame_only keeps"):
        load.load("phantom", parse_overrides(words))


def test_none_in_words_is_none():
    words = parse_overrides("data.remedies.common_resolution=none data.remedies.border_crop=0.05")
    chosen = load.load("phantom", words).data.remedies
    assert chosen.common_resolution is None and chosen.in_words() == "border_crop=0.05"
