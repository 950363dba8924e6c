"""Films as batches: order, distortions and weights; batch statistics of other films."""

import keras
import numpy as np
import pandas as pd
import pytest

from lib.data import batches
from lib.data.batches import Films
from lib.models import backbones
from lib.study.params import Augmentation

DRAWS = 300


def drawn(image, ranges, count=DRAWS):
    """Many distortions of one film."""
    return [batches.augment(image, ranges, np.random.default_rng(seed)) for seed in range(count)]


def numbered(count=10, side=8, spare=3):
    """Films whose grey is their number, in a cache that holds others before them."""
    grey = np.concatenate([np.full(spare, 255), np.arange(count)]).astype(np.uint8)
    images = np.broadcast_to(grey[:, None, None], (count + spare, side, side))
    return Films(images, np.arange(count) + spare, np.arange(count) % 3)


def collected(data, **options):
    """Grey (the film's number), labels and weights of every film, in the order of the batches."""
    parts = [[x.numpy() for x in batch] for batch in batches.batches(data, **options)]
    pixels, labels, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
    return pixels[:, 0, 0, 0].astype(int), labels, weights, [len(part[0]) for part in parts]


def test_films_of_some_splits_in_the_order_of_the_manifest():
    manifest = pd.DataFrame(
        {
            "row": [4, 2, 0, 1, 3],
            "split": ["test", "train", "test", "validation", "train"],
            "label": ["b", "a", "a", "b", "c"],
        }
    )
    images = np.arange(5, dtype=np.uint8)[:, None, None]
    found = batches.films(images, manifest, splits=["test", "validation"], classes=("c", "a", "b"))
    assert found.rows.tolist() == [4, 0, 1] and found.labels.tolist() == [2, 1, 2]
    assert len(found) == 3 and found.images is images


def test_without_a_seed_films_come_once_in_order():
    data = numbered()
    numbers, labels, weights, sizes = collected(data, batch_size=4)
    assert numbers.tolist() == list(range(10)) and sizes == [4, 4, 2]
    assert labels.tolist() == data.labels.tolist() and weights.tolist() == [1.0] * 10


def test_a_seed_fixes_the_order_whatever_was_drawn_before():
    data = numbered(40)
    first = collected(data, batch_size=7, shuffle_seed=1)
    assert sorted(first[0]) == list(range(40)) and first[0].tolist() != list(range(40))
    np.testing.assert_array_equal(first[1], first[0] % 3)  # labels stay with their films
    interrupted = batches.batches(data, batch_size=7, shuffle_seed=1)
    next(iter(interrupted))
    np.random.default_rng(5).random(3)
    again = np.concatenate([x.numpy()[:, 0, 0, 0] for x, _, _ in interrupted])
    np.testing.assert_array_equal(again, first[0])
    # The order of the films does not depend on the size of a batch, and another seed changes it.
    np.testing.assert_array_equal(collected(data, batch_size=3, shuffle_seed=1)[0], first[0])
    assert collected(data, batch_size=7, shuffle_seed=2)[0].tolist() != first[0].tolist()


def test_pixels_are_three_equal_channels_in_0_to_255():
    images = np.array([[[0, 255], [7, 128]]], np.uint8)
    found = batches.pixels(images)
    assert found.dtype == np.float32
    assert found.tolist() == [[[[0.0] * 3, [255.0] * 3], [[7.0] * 3, [128.0] * 3]]]


def test_distortions_repeat_with_the_seed_and_differ_between_films():
    image = np.random.default_rng(0).integers(0, 255, (16, 16), np.uint8)
    data = Films(np.stack([image] * 6), np.arange(6), np.zeros(6, int))
    ranges = Augmentation(translation=0.2)

    def run(seed):
        made = batches.batches(data, batch_size=4, shuffle_seed=seed, augmentation=ranges)
        return np.concatenate([films.numpy() for films, _, _ in made])

    first = run(3)
    np.testing.assert_array_equal(run(3), first)
    assert len(np.unique(first.reshape(6, -1), axis=0)) == 6
    assert not np.array_equal(run(4), first)


def test_films_are_not_distorted_without_a_seed_or_a_range():
    image = np.random.default_rng(0).integers(0, 255, (16, 16), np.uint8)
    data = Films(image[None], np.array([0]), np.array([0]))
    for options in (
        {"augmentation": Augmentation(translation=0.2)},
        {"augmentation": Augmentation(), "shuffle_seed": 1},
    ):
        ((films, _, _),) = batches.batches(data, batch_size=1, **options)
        np.testing.assert_array_equal(films.numpy()[0, :, :, 1], image)


def test_translation_moves_a_point_uniformly_within_its_range():
    side, share = 40, 0.2
    image = np.zeros((side, side), np.uint8)
    image[20, 20] = 255
    y, x = np.mgrid[:side, :side] - 20
    moved = np.array([
        [(x * found).sum() / found.sum(), (y * found).sum() / found.sum()]
        for found in (film.astype(float) for film in drawn(image, Augmentation(translation=share)))
    ])  # fmt: skip
    most = share * side
    # Bilinear sampling keeps the centroid up to OpenCV's 1/32 pixel.
    assert np.abs(moved).max() <= most + 1 / 16
    assert (np.abs(moved).max(axis=0) > 0.95 * most).all()
    assert np.abs(moved.mean(axis=0)).max() < 4 * most / np.sqrt(3 * DRAWS)
    np.testing.assert_allclose(moved.std(axis=0), most / np.sqrt(3), rtol=0.15)
    assert abs(np.corrcoef(moved.T)[0, 1]) < 4 / np.sqrt(DRAWS)


def test_a_shift_repeats_the_border():
    image = np.full((20, 20), 90, np.uint8)
    for found in drawn(image, Augmentation(translation=0.3, rotation_degrees=30), 20):
        np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize(
    ("ranges", "angle", "stretch"),
    [
        (Augmentation(rotation_degrees=25), 25, 0),
        (Augmentation(zoom=0.2), 0, 0.2),
        (Augmentation(rotation_degrees=10, zoom=0.1), 10, 0.1),
    ],
)
def test_rotation_and_zoom_of_a_spot_stay_within_their_ranges(ranges, angle, stretch):
    side, radius = 61, 18
    y, x = np.mgrid[:side, :side] - 30.0
    image = (255 * np.exp(-((x - radius) ** 2 + y**2) / 8)).astype(np.uint8)
    places = np.array([
        [(x * film).sum(), (y * film).sum()] / film.sum(dtype=float)
        for film in drawn(image, ranges)
    ])  # fmt: skip
    angles = np.rad2deg(np.arctan2(places[:, 1], places[:, 0]))
    stretches = np.hypot(*places.T) / radius - 1
    for found, most, tolerance in ((angles, angle, 0.2), (stretches, stretch, 0.01)):
        assert np.abs(found).max() <= most + tolerance
        assert found.max() >= 0.9 * most - tolerance and found.min() <= tolerance - 0.9 * most


def test_brightness_and_contrast_stay_within_their_ranges():
    flat = np.full((4, 4), 100, np.uint8)
    greys = np.array([found[0, 0] for found in drawn(flat, Augmentation(brightness=0.2))], int)
    assert greys.min() >= 49 and greys.max() <= 151 and greys.min() < 54 and greys.max() > 146
    assert all((found == 100).all() for found in drawn(flat, Augmentation(contrast=0.5), 50))
    halves = np.repeat([80, 160], 8).reshape(4, 4).astype(np.uint8)
    spread = np.array(
        [int(f.max()) - int(f.min()) for f in drawn(halves, Augmentation(contrast=0.5))]
    )
    assert spread.min() >= 40 and spread.max() <= 120 and spread.min() < 46 and spread.max() > 114
    black = np.zeros((4, 4), np.uint8)  # never below 0: that would wrap to white
    assert max(found.max() for found in drawn(black, Augmentation(brightness=0.2))) <= 51


def test_a_film_is_mirrored_only_when_asked_for():
    """The right half is bright: rotating, shifting and zooming within the ranges keep that."""
    image = np.zeros((40, 40), np.uint8)
    image[:, 20:] = 200
    ranges = {"rotation_degrees": 45, "translation": 0.15, "zoom": 0.3, "contrast": 0.5}

    def mirrored(**more):
        films = drawn(image, Augmentation(**ranges, **more))
        return np.mean([film[:, :20].mean() > film[:, 20:].mean() for film in films])

    assert mirrored() == 0
    assert abs(mirrored(flip_left_right=True) - 0.5) < 4 * 0.5 / np.sqrt(DRAWS)
    both = {film.tobytes() for film in drawn(image, Augmentation(flip_left_right=True))}
    assert both == {image.tobytes(), np.fliplr(image).tobytes()}


def test_class_weights_by_hand_with_mean_one_over_the_films():
    labels = np.array([0] * 6 + [1] * 3 + [3])
    found = batches.class_weights(labels, classes=5)
    np.testing.assert_allclose(found, [10 / 18, 10 / 9, 0, 10 / 3, 0], rtol=1e-6)
    assert found[labels].mean() == pytest.approx(1)
    shares = [found[labels[labels == c]].sum() for c in (0, 1, 3)]
    np.testing.assert_allclose(shares, 10 / 3, rtol=1e-6)  # every class present weighs the same
    np.testing.assert_array_equal(batches.class_weights(np.array([0, 1]), classes=2), [1, 1])


def test_weights_go_with_the_class_of_a_film():
    weights = np.array([0.5, 2.0, 4.0])
    _, labels, found, _ = collected(numbered(), batch_size=4, shuffle_seed=8, weights=weights)
    np.testing.assert_array_equal(found, weights[labels])
    assert found.dtype == np.float32


def test_a_sample_is_drawn_without_replacement():
    data = numbered(30)
    found = batches.sample(data, 12, seed=2)
    assert len(set(found.rows)) == len(found) == 12 and set(found.rows) <= set(data.rows)
    np.testing.assert_array_equal(found.labels, (found.rows - 3) % 3)
    np.testing.assert_array_equal(found.rows, batches.sample(data, 12, seed=2).rows)
    assert set(found.rows) != set(batches.sample(data, 12, seed=3).rows)
    assert sorted(batches.sample(data, 99, seed=2).rows) == data.rows.tolist()


@pytest.fixture
def two_norms():
    """Two batch normalisations, the second of which sees what the first one makes."""
    keras.utils.set_random_seed(4)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="one", epsilon=1e-3, momentum=0.9)(x)
    x = keras.layers.Activation("relu")(x)
    x = keras.layers.BatchNormalization(name="two", epsilon=1e-3, momentum=0.7)(x)
    return keras.Model(inputs, x)


def film_batches(side, sizes=(6, 6, 3), seed=0):
    generator = np.random.default_rng(seed)
    return [generator.uniform(0, 255, (n, side, side, 3)).astype(np.float32) for n in sizes]


def mean_over_batches(parts):
    """Mean over batches of the mean and of the (population) variance per channel."""
    return [
        np.mean([measure(part, axis=(0, 1, 2)) for part in parts], axis=0)
        for measure in (np.mean, np.var)
    ]


def statistics(norm):
    return [norm.moving_mean.numpy(), norm.moving_variance.numpy()]


def test_later_layers_see_what_is_normalised_with_batch_statistics(two_norms):
    films = film_batches(8)
    one, two = two_norms.get_layer("one"), two_norms.get_layer("two")
    one.set_weights(
        [np.array([1, 2, 3, 4.0]), np.array([0, 1, -1, 2.0]), np.full(4, 50.0), np.full(4, 9.0)]
    )
    conv = keras.Model(two_norms.input, two_norms.get_layer("conv").output)
    outer = [conv(batch).numpy().astype(float) for batch in films]
    inner = []
    for a in outer:
        normal = (a - a.mean((0, 1, 2))) / np.sqrt(a.var((0, 1, 2)) + 1e-3)
        inner.append(np.maximum(normal * [1, 2, 3, 4] + [0, 1, -1, 2], 0))
    before = [w.numpy() for w in two_norms.trainable_weights]
    assert backbones.recalibrate_batch_norm(two_norms, films) == 2
    for norm, parts in ((one, outer), (two, inner)):
        for found, value in zip(statistics(norm), mean_over_batches(parts), strict=True):
            np.testing.assert_allclose(found, value, rtol=1e-4, atol=1e-5)
    for old, new in zip(before, two_norms.trainable_weights, strict=True):
        np.testing.assert_array_equal(old, new)
    first = [*statistics(one), *statistics(two)]
    backbones.recalibrate_batch_norm(two_norms, iter(films))
    for a, b in zip(first, [*statistics(one), *statistics(two)], strict=True):
        np.testing.assert_array_equal(a, b)


def test_recalibrating_restores_flags_and_momenta_also_after_an_error(two_norms):
    one, two = two_norms.get_layer("one"), two_norms.get_layer("two")
    one.trainable, two.trainable = False, True
    momenta = (one.momentum, two.momentum)

    def broken():
        yield film_batches(8)[0]
        raise OSError("no film")

    backbones.recalibrate_batch_norm(two_norms, film_batches(8))
    assert (one.trainable, two.trainable) == (False, True)
    assert (one.momentum, two.momentum) == momenta == (0.9, 0.7)
    for films, error in (([], ValueError), (broken(), OSError)):
        with pytest.raises(error, match="no film"):
            backbones.recalibrate_batch_norm(two_norms, films)
        assert (one.trainable, two.trainable) == (False, True)
        assert (one.momentum, two.momentum) == momenta


def test_a_model_without_batch_normalisation_is_left_alone():
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 1)(inputs))
    assert backbones.recalibrate_batch_norm(model, film_batches(4)) == 0
