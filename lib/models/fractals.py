"""A source task without any image: fractals drawn from formulas (Kataoka et al. 2020).

Each category is one iterated function system, a handful of random affine maps; its images are
drawn by the chaos game with slightly changed maps. A backbone that tells the categories apart has
learnt edges, textures and shapes, with nothing downloaded (arXiv:2101.08515).
"""

import cv2
import keras
import numpy as np
import pandas as pd

from lib.data import batches
from lib.models import backbones, training, training_loop
from lib.study.params import Fractal, Runtime
from lib.study.seeds import derive

_FILL = 0.15  # least share of a coarse canvas that a category must cover to be kept


def _points(
    maps: np.ndarray, chances: np.ndarray, generator: np.random.Generator
) -> np.ndarray | None:
    """Points of the attractor in the unit square, or None where the system diverges."""
    walkers = np.zeros((1024, 2))
    kept = []
    for step in range(60):
        chosen = maps[generator.choice(len(maps), len(walkers), p=chances)]
        walkers = np.einsum("nij,nj->ni", chosen[:, :, :2], walkers) + chosen[:, :, 2]
        if not np.abs(walkers).max() < 1e6:
            return None
        if step >= 20:
            kept.append(walkers)
    points = np.concatenate(kept)
    low, high = np.percentile(points, (0.5, 99.5), axis=0)
    if np.any(high - low < 1e-6):
        return None
    points = (points - low) / (high - low).max()
    return points[np.all((points >= 0) & (points <= 1), axis=1)]


def _fill(points: np.ndarray) -> float:
    canvas = np.zeros((32, 32), bool)
    canvas[tuple(np.minimum((points * 32).astype(int), 31).T)] = True
    return canvas.mean()


def find_systems(categories: int, *, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Random iterated function systems that neither diverge nor collapse to specks.

    Each is a number of affine maps, shape (n, 2, 3), and the probability of each.
    """
    generator, found = np.random.default_rng(seed), []
    while len(found) < categories:
        maps = generator.uniform(-1, 1, (generator.integers(2, 9), 2, 3))
        determinants = np.abs(np.linalg.det(maps[:, :, :2])) + 1e-6
        chances = determinants / determinants.sum()
        points = _points(maps, chances, generator)
        if points is not None and _fill(points) >= _FILL:
            found.append((maps, chances))
    return found


def draw(system: tuple[np.ndarray, np.ndarray], *, size: int, seed: int) -> np.ndarray:
    """One image of a category, uint8: changed maps, then random pose, contrast and blur."""
    generator = np.random.default_rng(seed)
    maps, chances = system
    for _ in range(20):
        points = _points(maps * generator.uniform(0.85, 1.15, maps.shape), chances, generator)
        if points is not None and len(points):
            break
    else:
        points = _points(maps, chances, generator)
    density = np.zeros((size, size), np.float32)
    cells = np.minimum((points * size).astype(int), size - 1)
    np.add.at(density, (cells[:, 1], cells[:, 0]), 1.0)
    image = np.log1p(cv2.GaussianBlur(density, (0, 0), generator.uniform(0.6, 1.4)) * 4)
    scale = generator.uniform(0.7, 1.1)
    centre = ((size - 1) / 2,) * 2
    matrix = cv2.getRotationMatrix2D(centre, generator.uniform(-180, 180), scale)
    image = cv2.warpAffine(image / max(image.max(), 1e-6), matrix, (size, size))
    background = cv2.resize(generator.uniform(0, 0.4, (4, 4)), (size, size))
    image = background + image * generator.uniform(0.4, 0.8)
    if generator.random() < 0.5:
        image = 1 - image
    image = image + generator.normal(0, 0.02, image.shape)
    return np.clip(image * 255, 0, 255).astype(np.uint8)


def draw_set(params: Fractal, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The images of the source task and their categories, in random order.

    Returns
    -------
    images : ndarray of uint8, shape (categories × images per category, size, size)
    categories : ndarray of int, shape (categories × images per category,)
    """
    systems = find_systems(params.categories, seed=derive(seed, "systems"))
    labels = np.repeat(np.arange(params.categories), params.images_per_category)
    images = [
        draw(systems[label], size=params.size, seed=derive(seed, "image", number))
        for number, label in enumerate(labels)
    ]
    order = np.random.default_rng(derive(seed, "order")).permutation(len(labels))
    return np.stack(images)[order], labels[order]


def pretrain(
    architecture: str, images: np.ndarray, labels: np.ndarray, params: Fractal, *,
    runtime: Runtime, seed: int, state, key: str, report=print,
) -> tuple[keras.Model, pd.DataFrame]:  # fmt: skip
    """Train a backbone from random weights to name the fractals; one tenth is held out.

    Parameters
    ----------
    architecture : str
    images : ndarray of uint8, shape (n, size, size)
        The first tenth is held out.
    labels : ndarray of int, shape (n,)
        Category of each image.
    params : Fractal
    runtime : Runtime
    seed : int
        Of weights, order and dropout.
    state, key, report
        As in `lib.models.training_loop.fit`.

    Returns
    -------
    backbone : keras.Model
        Without the head; its weights are the product.
    history : DataFrame
        As `lib.models.training_loop.fit`.
    """
    held = max(1, len(labels) // 10)
    rows = np.arange(len(labels))
    run = training.Run(
        train=batches.Films(images, rows[held:], labels[held:]),
        validation=batches.Films(images, rows[:held], labels[:held]),
        params=params, classes=tuple(str(number) for number in range(params.categories)),
        runtime=runtime, seed=seed, state=state, key=key, report=report,
    )  # fmt: skip
    keras.utils.set_random_seed(derive(seed, "weights", architecture))
    backbone = backbones.build_backbone(architecture, size=images.shape[1])
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
    head = keras.layers.Dense(params.categories, dtype="float32")(pooled)
    history = run.fit(
        keras.Model(backbone.input, head), run.schedule(warmup_epochs=0.2),
        lambda epoch: batches.batches(
            run.train, batch_size=params.batch_size, shuffle_seed=derive(seed, "shuffle", epoch)
        ),
        lambda model: training_loop.predict(model, run.validation, batch_size=params.batch_size),
    )  # fmt: skip
    return backbone, history
