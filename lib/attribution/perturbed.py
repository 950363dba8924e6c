"""Maps of films that are changed by what happens to films anyway: noise, less contrast, blur.

Each comes in several strengths, so that some predictions stay and others do not.
"""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from lib.attribution.maps import MapSet
from lib.study.seeds import derive

STRENGTHS = {"noise": (0.02, 0.1, 0.3), "contrast": (0.1, 0.5, 0.8), "blur": (0.005, 0.02, 0.06)}
"""Noise: its standard deviation in the range of grey levels. Contrast: the share of it that is
taken away. Blur: standard deviation of the Gaussian in sides of the film."""
CHANGES = tuple(f"{kind} {strength}" for kind, of in STRENGTHS.items() for strength in of)


def perturbed(films: np.ndarray, *, seed: int) -> dict[str, np.ndarray]:
    """Changed films by the change, "noise 0.02".

    Parameters
    ----------
    films : ndarray of uint8, shape (n, size, size)
    seed : int
        Of the noise.

    Returns
    -------
    dict of str to ndarray of uint8, shape (n, size, size)
    """
    grey, size = np.asarray(films, np.float64), films.shape[1]
    found = {}
    for kind, strengths in STRENGTHS.items():
        for strength in strengths:
            if kind == "noise":
                draw = np.random.default_rng(derive(seed, kind, str(strength)))
                changed = grey + draw.normal(0, 255 * strength, grey.shape)
            elif kind == "contrast":
                mean = grey.mean(axis=(1, 2), keepdims=True)
                changed = mean + (1 - strength) * (grey - mean)
            else:
                blur = {"sigmaX": strength * size, "borderType": cv2.BORDER_REFLECT}
                changed = np.stack([cv2.GaussianBlur(film, (0, 0), **blur) for film in grey])
            found[f"{kind} {strength}"] = np.rint(np.clip(changed, 0, 255)).astype(np.uint8)
    return found


def explained(
    explain: Callable[..., MapSet], films, own: MapSet, chosen: np.ndarray,
    *, seed: int, batch_size: int,
) -> MapSet:  # fmt: skip
    """Maps of some films after every change.

    Parameters
    ----------
    explain : lib.attribution.explainer.Explainer
    films : lib.data.batches.Films
    own : MapSet
        Of the films as they are: the class that was explained there is explained here.
    chosen : ndarray of int
        Places of the films that are changed.
    seed : int
        Of the noise.
    batch_size : int
        The last batch is filled up, because one of another size would be traced anew.

    Returns
    -------
    MapSet
        All films after the first of `CHANGES`, then all after the second: see `by_change`.
    """
    images = np.asarray(films.images[films.rows[chosen]])
    stack = np.concatenate([*perturbed(images, seed=seed).values()])
    order = np.arange(-(-len(stack) // batch_size) * batch_size) % len(stack)
    rows = chosen[order % len(chosen)]
    data = replace(films, images=stack, rows=order, labels=own.explained_class[rows])
    return explain(data, own.image_id[rows], batch_size=batch_size).take(np.arange(len(stack)))


def by_change(maps: MapSet) -> dict[str, MapSet]:
    """What `explained` made, by the change."""
    count = len(maps.image_id) // len(CHANGES)
    return {
        name: maps.take(np.arange(n * count, (n + 1) * count)) for n, name in enumerate(CHANGES)
    }
