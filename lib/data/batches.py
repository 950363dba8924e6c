"""Films from the memory map to batches of tensors, with stateless augmentation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
import tensorflow as tf

from lib.study.params import Augmentation


@dataclass(frozen=True)
class Films:
    """A view of some rows of an image cache.

    ``images`` is the memory-mapped cache, uint8, (all films, size, size); ``rows`` and ``labels``
    are the rows of it that belong to this set, and the class index of each, shape (n,).
    """

    images: np.ndarray
    rows: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


def films(
    images: np.ndarray, manifest: pd.DataFrame, *, splits: Sequence[str], classes: Sequence[str]
) -> Films:
    """The films of some splits, in the order of the manifest.

    Parameters
    ----------
    images : ndarray of uint8, shape (all films, size, size)
        The cache.
    manifest : DataFrame
        With ``split``, ``row`` and ``label``.
    splits, classes : sequence of str
        Which splits; classes in the order of their indices.
    """
    part = manifest[manifest["split"].isin(splits)]
    index = {name: position for position, name in enumerate(classes)}
    labels = np.array([index[label] for label in part["label"]], dtype=np.int64)
    return Films(images, part["row"].to_numpy(), labels)


def sample(data: Films, most: int, *, seed: int) -> Films:
    """At most `most` films drawn without replacement.

    Parameters
    ----------
    data : Films
    most, seed : int
        All are taken, in another order, where there are no more than that.
    """
    chosen = np.random.default_rng(seed).permutation(len(data))[:most]
    return Films(data.images, data.rows[chosen], data.labels[chosen])


def class_weights(labels: np.ndarray, *, classes: int) -> np.ndarray:
    """Weight per class, float32, inverse to its frequency, with mean 1 over the films.

    It is 0 for a class without films.
    """
    counts = np.bincount(labels, minlength=classes)
    present = counts > 0
    weights = np.zeros(classes, np.float32)
    weights[present] = len(labels) / (present.sum() * counts[present])
    return weights


def pixels(images: np.ndarray) -> np.ndarray:
    """Grey uint8 films ``(n, size, size)`` as three equal float32 channels in 0..255."""
    return np.repeat(np.asarray(images, np.float32)[..., None], 3, axis=-1)


def augment(image: np.ndarray, ranges: Augmentation, generator: np.random.Generator) -> np.ndarray:
    """One random distortion of a film, uint8, (size, size).

    Ranges are the largest rotation (degrees), shift (fraction of the side), zoom, brightness and
    contrast change (fractions); a mirror image comes with probability 1/2 if asked for. Uncovered
    corners are filled by repeating the border.
    """
    side = image.shape[0]
    angle, right, down, zoom, brightness, contrast, flip = generator.uniform(-1, 1, 7)
    matrix = cv2.getRotationMatrix2D(
        ((side - 1) / 2, (side - 1) / 2), angle * ranges.rotation_degrees, 1 + zoom * ranges.zoom
    )
    matrix[:, 2] += np.array([right, down]) * ranges.translation * side
    image = cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    if ranges.flip_left_right and flip > 0:
        image = image[:, ::-1]
    if ranges.brightness or ranges.contrast:
        mean = image.mean()
        changed = mean + (image - mean) * (1 + contrast * ranges.contrast)
        image = np.clip(np.rint(changed + brightness * ranges.brightness * 255), 0, 255)
    return image.astype(np.uint8)


def batches(
    data: Films,
    *,
    batch_size: int,
    shuffle_seed: int | None = None,
    augmentation: Augmentation | None = None,
    weights: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Batches ``(pixels, labels, sample weights)`` of a set of films.

    Order and distortions depend on `shuffle_seed` alone, never on what was drawn before: an
    interrupted epoch is repeated exactly.

    Parameters
    ----------
    data : Films
    batch_size : int
        The last batch may be smaller.
    shuffle_seed : int, optional
        Seed of this epoch; None keeps the order.
    augmentation : Augmentation, optional
        Applied only where some distortion is on, and only with a `shuffle_seed`.
    weights : ndarray of float, shape (classes,), optional
        Weight of a film by its class; 1 without.
    """
    order = np.arange(len(data))
    if shuffle_seed is not None:
        order = np.random.default_rng(shuffle_seed).permutation(order)
    weights = np.ones(data.labels.max() + 1) if weights is None else weights
    distort = augmentation is not None and augmentation.active and shuffle_seed is not None

    def fetch(positions: np.ndarray):
        images = np.asarray(data.images[data.rows[positions]])
        if distort:
            images = np.stack([
                augment(image, augmentation, np.random.default_rng((shuffle_seed, position)))
                for image, position in zip(images, positions, strict=True)
            ])  # fmt: skip
        labels = data.labels[positions]
        return pixels(images), labels, weights[labels].astype(np.float32)

    side = data.images.shape[1]
    shapes = [(tf.float32, (side, side, 3)), (tf.int64, ()), (tf.float32, ())]
    return fetched(order, fetch, shapes, batch_size=batch_size)


def fetched(
    rows: np.ndarray, fetch: Callable, shapes: Sequence[tuple], *, batch_size: int, whole=False
) -> tf.data.Dataset:
    """Batches of what a NumPy function gives for some rows, read ahead, in their order.

    Parameters
    ----------
    fetch : callable
        Of rows, shape (n,), to arrays (n, …).
    shapes : sequence of (dtype, shape)
        Of each array, without the first axis.
    whole : bool
        Whether a last, smaller batch is left out.
    """

    def load(chosen):
        values = tf.numpy_function(fetch, [chosen], [dtype for dtype, _ in shapes])
        for value, (_, shape) in zip(values, shapes, strict=True):
            value.set_shape((None, *shape))
        return tuple(values)

    indices = tf.data.Dataset.from_tensor_slices(rows).batch(batch_size, drop_remainder=whole)
    loaded = indices.map(load, num_parallel_calls=1, deterministic=True).prefetch(2)
    # A pool of its own: on one inter-op thread the step would wait for films that wait for it.
    options = tf.data.Options()
    options.threading.private_threadpool_size = 2
    return loaded.with_options(options)
