"""Does a map tell what the prediction rests on? Deletion and insertion, by cells of its own grid.

The cells that a map ranks highest are blurred first (deletion) or shown first on the blurred film
(insertion), and the probability of the explained class is read off (Petsiuk, Das & Saenko 2018,
arXiv:1806.07421). The yardstick is the same map with its values permuted over the cells: all that
such a map says is an order of the cells at random.
"""

from collections.abc import Callable
from math import ceil

import cv2
import numpy as np
import pandas as pd

from lib.attribution.arrays import blank_reason, cells_of
from lib.attribution.maps import MapSet
from lib.models.performance import true_probability
from lib.study.seeds import derive

FRACTIONS = (0.2, 0.5)
"""Shares of the cells that are taken away or shown; 0 and 1 are the film and the blurred film. Few,
because each costs two predictions for every map, and films say more than steps do."""
BLUR = 0.1
"""Standard deviation of the Gaussian blur in sides of the film: no lesion is left, and no edge of
a hole could tell a network where something was."""
_AT_ONCE = 8  # films: bounds the memory


def curves(
    logits: Callable[[np.ndarray], np.ndarray], films: np.ndarray, maps: MapSet, chosen: np.ndarray,
    *, seed: int, probability: Callable[[np.ndarray, np.ndarray], np.ndarray] = true_probability,
) -> pd.DataFrame:  # fmt: skip
    """Area under the deletion and the insertion curve of every map, and of a random map.

    Parameters
    ----------
    logits : callable
        Logits of grey films ``(n, size, size)``, by the checkpoint that was explained.
    films : ndarray of uint8, shape (chosen films, size, size)
    maps : MapSet
        Of all test films.
    chosen : ndarray of int
        Places of `films` among those of `maps`.
    seed : int
        Of the random maps, and of the order of cells that a map holds equal.
    probability : callable
        ``(logits, classes) → probabilities``; the softmax unless sigmoids are to be asked.

    Returns
    -------
    DataFrame
        A row per layer, method and film: ``role``, ``method``, ``image_id``, and mean probabilities
        over the share of cells, in [0, 1]: ``deletion`` (the lower, the better the map),
        ``insertion`` (the higher, the better), and the same of a random map of the grid,
        ``deletion_random`` and ``insertion_random``. NaN where the map is blank.
    """
    order = np.random.default_rng(derive(seed, "order"))
    ranks = {key: _ranks(stack[chosen], order) for key, stack in maps.maps.items()}
    grids = sorted({rank.shape[1:] for rank in ranks.values()})
    # A generator for each grid: further layers or methods change no random map.
    randoms = {
        grid: _ranks(
            np.zeros((len(chosen), *grid)), np.random.default_rng(derive(seed, "random", *grid))
        )
        for grid in grids
    }
    label = maps.explained_class[chosen]
    areas = [
        area
        for start in range(0, len(chosen), _AT_ONCE)
        for area in _areas(
            logits, films, ranks | randoms, label, probability,
            range(len(chosen))[start : start + _AT_ONCE],
        )
    ]  # fmt: skip
    parts = []
    for key, rank in ranks.items():
        blank = blank_reason(maps.maps[key][chosen]) != ""
        columns = {
            f"{kind}{ending}": np.where(blank, np.nan, [area[name][number] for area in areas])
            for ending, name in (("", key), ("_random", rank.shape[1:]))
            for number, kind in enumerate(("deletion", "insertion"))
        }
        names = {"role": key[0], "method": key[1], "image_id": maps.image_id[chosen]}
        parts.append(pd.DataFrame(names | columns))
    return pd.concat(parts, ignore_index=True)


def _ranks(stack: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Rank of every cell, 0 = highest; what is equal is ranked at random: shape (n, h, w)."""
    cells = cells_of(stack)
    order = np.lexsort((generator.random(cells.shape), -cells), axis=1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(cells.shape[1])[None], axis=1)
    return ranks.reshape(stack.shape)


def _areas(logits, films, ranks, label, probability, places) -> list[dict]:
    """Areas under both curves by name of the ranks, for each of some films, by one call."""
    altered, asked = [], []
    for place in places:
        own, rows = _altered(films[place], {name: rank[place] for name, rank in ranks.items()})
        asked.append({name: np.array(each) + len(altered) for name, each in rows.items()})
        altered += own
    answers, shares = logits(np.stack(altered)), (0, *FRACTIONS, 1)
    found = []
    for place, rows in zip(places, asked, strict=True):
        told = probability(answers, np.full(len(answers), label[place]))
        found.append({name: np.trapezoid(told[each], shares) for name, each in rows.items()})
    return found


def _altered(film: np.ndarray, ranks: dict) -> tuple[list[np.ndarray], dict]:
    """Films to ask about, and for each name which of them belong to deletion and insertion.

    Layers and methods often take away the same cells: every altered film is there once.
    """
    size, films, known = len(film), [], {}
    blurred = cv2.GaussianBlur(film, (0, 0), BLUR * size, borderType=cv2.BORDER_REFLECT)

    def place(hidden: np.ndarray) -> int:
        rows, columns = ((2 * np.arange(size) + 1) * n // (2 * size) for n in hidden.shape)
        mask = hidden[rows[:, None], columns]
        if (key := mask.tobytes()) not in known:
            known[key] = len(films)
            films.append(np.where(mask, blurred, film))
        return known[key]

    asked = {}
    for name, rank in ranks.items():
        counts = [ceil(share * rank.size) for share in (0, *FRACTIONS, 1)]
        asked[name] = [
            [place(rank < count) for count in counts],
            [place(rank >= count) for count in counts],
        ]
    return films, asked
