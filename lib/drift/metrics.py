"""Drift between two sets of attribution maps: metrics on pairs of maps.

Maps are stacks of shape (N, h, w) on one grid, non-negative (attributions end in a ReLU), of any
scale: P = M / sum(M) is the mass of a map M, U = M / max(M) its peak-normalised form. Cell centres
lie in the unit square, x to the right and y down, so that grids of different size compare. No
metric depends on a positive factor on either map. A *change* is B minus A.

A metric has a float64 value per pair of maps, NaN where one is all zero or not finite, and raises a
ValueError if shapes differ or are not (N, h, w), a value is negative or an option out of range.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Literal

import numpy as np
import pandas as pd
from ot import emd2
from scipy.ndimage import uniform_filter
from scipy.spatial.distance import cdist
from scipy.special import entr
from scipy.stats import rankdata

from lib.attribution import arrays
from lib.attribution.arrays import cells_of, mass, peak_normalised

# Pairs held at once: they bound the working memory whatever N is, and fit the processor's cache.
_PAIRS_PER_CHUNK = 1024
_UPSAMPLED_PAIRS_PER_CHUNK = 256


def _metric(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Check the maps, and answer NaN where one of them is all zero or not finite."""
    signature = inspect.signature(function)
    names = [name for name in signature.parameters if name.startswith("maps")]

    @wraps(function)
    def guarded(*args, **options) -> np.ndarray:
        options = signature.bind(*args, **options).arguments
        given = [arrays.checked(options.pop(name), name) for name in names]
        arrays.require_same_shape(given[0], given[-1], (names[0], names[-1]))
        usable = np.all([arrays.has_mass(maps) for maps in given], axis=0)
        scored = function(*(maps[usable] for maps in given), **options)
        values = np.full((len(usable), *scored.shape[1:]), np.nan)
        values[usable] = scored
        return values

    return guarded


def top_mask(maps, *, fraction: float) -> np.ndarray:
    """Mark the ceil(fraction * h * w) highest cells, shape (N, h, w): equal areas at any scale.

    Ties go to the lowest flat index. Cells that are zero never enter, so a sparse map has fewer,
    and one that is all zero or not finite none. The fraction lies in (0, 1].
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction: found {fraction!r}; expected a share of cells in (0, 1].")
    maps = arrays.checked(maps, "maps")
    cells = cells_of(maps)
    # The slack takes products such as 0.07 * 100 = 7.000000000000001 for the 7 cells meant.
    count = math.ceil(fraction * cells.shape[1] - 1e-9)
    order = np.argsort(-cells, axis=1, kind="stable")[:, :count]
    mask = np.zeros(cells.shape, dtype=bool)
    np.put_along_axis(mask, order, True, axis=1)
    mask &= (cells > 0) & arrays.has_mass(maps)[:, None]
    return mask.reshape(maps.shape)


@_metric
def centroid(maps) -> np.ndarray:
    """Centre of mass, (x, y) in the unit square: shape (N, 2)."""
    return mass(maps) @ arrays.cell_centres(*maps.shape[1:])


@_metric
def centroid_displacement(maps_a, maps_b) -> np.ndarray:
    """Distance of the centres of mass in diagonals of the unit square, in [0, 1)."""
    return np.linalg.norm(centroid(maps_b) - centroid(maps_a), axis=1) / math.sqrt(2)


def _jaccard(mask_a: np.ndarray, mask_b: np.ndarray) -> np.ndarray:
    return cells_of(mask_a & mask_b).sum(axis=1) / cells_of(mask_a | mask_b).sum(axis=1)


@_metric
def iou_top(maps_a, maps_b, *, fraction: float = 0.2) -> np.ndarray:
    """Jaccard index of the masks of the highest cells (see `top_mask`), in [0, 1]."""
    return _jaccard(top_mask(maps_a, fraction=fraction), top_mask(maps_b, fraction=fraction))


@_metric
def iou_half(maps_a, maps_b) -> np.ndarray:
    """Jaccard index of the masks U >= 0.5, in [0, 1]; their areas may differ."""
    return _jaccard(peak_normalised(maps_a) >= 0.5, peak_normalised(maps_b) >= 0.5)


@_metric
def soft_iou(maps_a, maps_b) -> np.ndarray:
    """Ruzicka similarity of the masses, sum min(P_A, P_B) / sum max(P_A, P_B), in [0, 1]."""
    a, b = mass(maps_a), mass(maps_b)
    return np.minimum(a, b).sum(axis=1) / np.maximum(a, b).sum(axis=1)


@_metric
def unit_distance(maps_a, maps_b) -> np.ndarray:
    """Squared Euclidean distance of the maps scaled to unit length, in [0, 2]: 2 − 2 cos(A, B).

    The mean over random maps splits exactly, as a variance does: the distance of their mean from
    another map, and half the distance between two (see `lib.hypotheses.estimates.DECOMPOSITION`).
    """
    a, b = (peak_normalised(maps) for maps in (maps_a, maps_b))
    a, b = (cells / np.linalg.norm(cells, axis=1, keepdims=True) for cells in (a, b))
    return np.square(a - b).sum(axis=1)


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    norms[norms == 0] = np.nan
    return np.clip(np.einsum("ij,ij->i", a, b) / norms, -1, 1)


@_metric
def pearson(maps_a, maps_b) -> np.ndarray:
    """Pearson correlation over cells, in [-1, 1]; NaN also where either map is constant."""
    return _correlation(peak_normalised(maps_a), peak_normalised(maps_b))


@_metric
def spearman(maps_a, maps_b) -> np.ndarray:
    """Spearman correlation over cells (average ranks), in [-1, 1]; NaN where a map is constant."""
    return _correlation(*(rankdata(cells_of(maps), axis=1) for maps in (maps_a, maps_b)))


def _bilinear_weights(cells: int, size: int) -> np.ndarray:
    """(size, cells): half-pixel centres, edges clamped, as OpenCV's INTER_LINEAR."""
    positions = (np.arange(size) + 0.5) * cells / size - 0.5
    return np.stack([np.interp(positions, range(cells), row) for row in np.eye(cells)], axis=1)


@_metric
def ssim(maps_a, maps_b, *, size: int = 56) -> np.ndarray:
    """Mean structural similarity of U, upsampled bilinearly to size x size (>= 7), in [-1, 1].

    Wang et al. 2004, eq. 13, with a uniform 7 x 7 window, sample covariance, data range 1 and
    K1 = 0.01, K2 = 0.03: the defaults of scikit-image.
    """
    if not isinstance(size, int | np.integer) or size < 7:
        raise ValueError(f"size: found {size!r}; expected an integer of at least the window, 7.")
    rows, columns = (_bilinear_weights(cells, size) for cells in maps_a.shape[1:])

    def upsampled(maps: np.ndarray) -> np.ndarray:
        return rows @ peak_normalised(maps).reshape(maps.shape) @ columns.T

    def window_mean(images: np.ndarray) -> np.ndarray:
        return uniform_filter(images, size=(1, 7, 7))[:, 3:-3, 3:-3]

    values = np.empty(len(maps_a))
    for start in range(0, len(values), _UPSAMPLED_PAIRS_PER_CHUNK):
        chunk = slice(start, start + _UPSAMPLED_PAIRS_PER_CHUNK)
        a, b = upsampled(maps_a[chunk]), upsampled(maps_b[chunk])
        mean_a, mean_b = window_mean(a), window_mean(b)
        variances = window_mean(a * a) - mean_a**2 + window_mean(b * b) - mean_b**2
        covariance = window_mean(a * b) - mean_a * mean_b
        sample, c1, c2 = 49 / 48, 0.01**2, 0.03**2
        similarity = (2 * mean_a * mean_b + c1) * (2 * sample * covariance + c2)
        similarity /= (mean_a**2 + mean_b**2 + c1) * (sample * variances + c2)
        values[chunk] = similarity.mean(axis=(1, 2))
    return values


@_metric
def gini(maps) -> np.ndarray:
    """Gini index of the n cells, sum_ij |x_i - x_j| / (2 n^2 mean(x)) (Hurley & Rickard 2009).

    0 for a uniform map, (n - 1) / n for all mass in one cell.
    """
    ascending = np.sort(mass(maps), axis=1)
    n = ascending.shape[1]
    return ascending @ (2 * np.arange(1, n + 1) - n - 1) / n


@_metric
def gini_change(maps_a, maps_b) -> np.ndarray:
    """Gini index of B minus that of A, in (-1, 1): positive where evidence concentrates."""
    return gini(maps_b) - gini(maps_a)


@_metric
def normalised_entropy(maps) -> np.ndarray:
    """Shannon entropy of the mass over log(h * w): 1 for a uniform map, 0 for a single cell."""
    return entr(mass(maps)).sum(axis=1) / math.log(math.prod(maps.shape[1:]))


@_metric
def entropy_change(maps_a, maps_b) -> np.ndarray:
    """Normalised entropy of B minus that of A, in [-1, 1]: negative where evidence concentrates."""
    return normalised_entropy(maps_b) - normalised_entropy(maps_a)


@_metric
def emd(maps_a, maps_b) -> np.ndarray:
    """Earth mover's distance of the masses in diagonals of the unit square, in [0, 1).

    Rubner et al. 2000 with the Euclidean distance of cell centres / sqrt(2), solved exactly by the
    network simplex of POT. Mass that both maps have in a cell stays there, because the ground
    distance is a metric, so only the differences are transported.
    """
    centres = arrays.cell_centres(*maps_a.shape[1:])
    distance = cdist(centres, centres) / math.sqrt(2)
    values = np.zeros(len(maps_a))
    for i, difference in enumerate(mass(maps_a) - mass(maps_b)):
        sources, sinks = np.flatnonzero(difference > 0), np.flatnonzero(difference < 0)
        supply, demand = difference[sources], -difference[sinks]
        moved = min(supply.sum(), demand.sum())
        if moved > len(difference) * np.finfo(float).eps:  # else they are equal up to rounding
            costs = distance[np.ix_(sources, sinks)]
            values[i] = moved * emd2(supply / supply.sum(), demand / demand.sum(), costs)
    return values


@dataclass(frozen=True)
class Metric:
    """A drift metric: a function of two stacks of maps, a title with unit or range, and its kind.

    A similarity is 1 where nothing moved; a distance, or a change, is 0. A costly one is computed
    only where both films count, on grids of at most `COSTLY_CELLS`.
    """

    function: Callable[..., np.ndarray]
    title: str
    kind: Literal["similarity", "distance", "change"]
    costly: bool = False


TABLE = {
    "centroid_displacement": Metric(
        centroid_displacement, "Centroid displacement (share of the diagonal)", "distance"
    ),
    "iou_top20": Metric(iou_top, "IoU of the top 20 % of cells (0 to 1)", "similarity"),
    "iou_half": Metric(iou_half, "IoU of U ≥ 0.5 (0 to 1)", "similarity"),
    "soft_iou": Metric(soft_iou, "Soft IoU (0 to 1)", "similarity"),
    "pearson": Metric(pearson, "Pearson correlation (−1 to 1)", "similarity"),
    "spearman": Metric(spearman, "Spearman correlation (−1 to 1)", "similarity"),
    "ssim": Metric(ssim, "SSIM (−1 to 1)", "similarity"),
    "gini_change": Metric(gini_change, "Change of the Gini index (−1 to 1)", "change"),
    "entropy_change": Metric(entropy_change, "Change of normalised entropy (−1 to 1)", "change"),
    "unit_distance": Metric(
        unit_distance, "Squared distance of maps of unit length (0 to 2)", "distance"
    ),
    "emd": Metric(emd, "Earth mover's distance (share of the diagonal)", "distance", costly=True),
}
"""The metrics of every comparison: tables, report and case browser have those of this table."""
METRICS = tuple(TABLE)
SIMILARITIES, DISTANCES, CHANGES = (
    tuple(name for name, metric in TABLE.items() if metric.kind == kind)
    for kind in ("similarity", "distance", "change")
)
COSTLY = tuple(name for name, metric in TABLE.items() if metric.costly)
QUICK = tuple(name for name in METRICS if name not in COSTLY)
COSTLY_CELLS = 300  # a linear programme's time grows with the fourth power of the side or faster


def metric_label(name: str) -> str:
    """Name of a metric with its unit or range, for an axis; another name as it is."""
    return TABLE[name].title if name in TABLE else name


def compare(maps_a, maps_b, *, metrics: Sequence[str] = METRICS) -> pd.DataFrame:
    """Drift metrics of N pairs, in chunks: memory-mapped stacks of any length can be passed.

    Parameters
    ----------
    maps_a, maps_b : array of shape (N, h, w), float
        Raw maps, ≥ 0.
    metrics : sequence of str
        Of `METRICS`.

    Returns
    -------
    DataFrame of N rows
        A column per metric, and "blank": "" or which side is blank and why, such as "a: all zero;
        b: constant". Blank maps are named and never scored: every metric is NaN there.

    Raises
    ------
    ValueError
        If a metric is unknown, or the maps are no two such stacks of one shape.
    """
    unknown = [name for name in metrics if name not in METRICS]
    if unknown or isinstance(metrics, str):
        raise ValueError(f"metrics: found {unknown or metrics}; expected a list of {METRICS}.")
    maps_a, maps_b = np.asarray(maps_a), np.asarray(maps_b)
    arrays.require_stack(maps_a, "maps_a")
    arrays.require_same_shape(maps_a, maps_b, ("maps_a", "maps_b"))
    values = {name: np.full(len(maps_a), np.nan) for name in metrics}
    blank = np.full(len(maps_a), "", dtype=object)
    for start in range(0, len(maps_a), _PAIRS_PER_CHUNK):
        chunk = slice(start, start + _PAIRS_PER_CHUNK)
        a, b = arrays.checked(maps_a[chunk], "maps_a"), arrays.checked(maps_b[chunk], "maps_b")
        blank[chunk] = [
            "; ".join(f"{side}: {why}" for side, why in (("a", why_a), ("b", why_b)) if why)
            for why_a, why_b in zip(arrays.blank_reason(a), arrays.blank_reason(b), strict=True)
        ]
        scored = np.flatnonzero(blank[chunk] == "")
        for name in metrics:
            values[name][start + scored] = TABLE[name].function(a[scored], b[scored])
    return pd.DataFrame({**values, "blank": pd.array(blank, dtype="str")})
