"""What drift metrics say of maps that share nothing, or nothing but a preference for the centre.

Films are centred and networks see little at the border, so maps of any two films overlap. How much
of a similarity is owed to that alone is known here by simulation, for a given grid and no film.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd
from scipy import optimize, stats

from lib.drift import metrics
from lib.study.seeds import derive

METRICS = ("iou_top20", "iou_half", "soft_iou", "pearson", "spearman", "centroid_displacement")


def expected_overlap(cells: int, marked: int) -> float:
    """Exact mean Jaccard index, in (0, 1], of two random masks that mark so many of the cells.

    The number k of common cells is hypergeometric, the index k / (2·marked − k). For large grids it
    tends to a / (2 − a) for masks of area share a = marked / cells.
    """
    common = np.arange(marked + 1)
    chance = stats.hypergeom.pmf(common, cells, marked, marked)
    return float(chance @ (common / (2 * marked - common)))


def draw_maps(count: int, grid: int, *, width: float | None, shape: float, seed: int) -> np.ndarray:
    """Draw independent maps: gamma noise of mean 1 per cell, times a Gaussian about the centre.

    Parameters
    ----------
    width : float, positive, or None
        Standard deviation of the Gaussian in widths of the map; None is no preference at all.
    shape : float, positive
        Of the gamma distribution: the larger, the more alike the maps.

    Returns
    -------
    ndarray of shape (count, grid, grid), > 0
    """
    noise = np.random.default_rng(seed).gamma(shape, 1 / shape, (count, grid, grid))
    return noise if width is None else noise * centre_prior((grid, grid), sd=width)


def fitted_prior(
    grid: int, *, soft_iou: float, pearson: float, seed: int, pairs: int = 2000
) -> tuple[float, float] | None:
    """Width and shape at which independent maps are as alike as maps of unrelated films are.

    What maps of unrelated films have in common beyond it is no mere preference for the centre: any
    metric but the two that were fitted tells.

    Parameters
    ----------
    grid : int
        Side in cells.
    soft_iou, pearson : float
        Means over pairs of unrelated films.
    seed : int
        Of the maps that are drawn; the same draws for every width and shape, so that the fit is
        smooth.
    pairs : int
        Pairs of maps drawn.

    Returns
    -------
    tuple of float or None
        For `draw_maps`; None where no prior of the kind is within 0.02 of both means.
    """
    chance = np.random.default_rng(seed).random((2 * pairs, grid, grid))
    wanted = np.array([soft_iou, pearson])
    if not np.isfinite(wanted).all():
        return None

    def missed(logs: np.ndarray) -> np.ndarray:
        width, shape = np.exp(np.clip(logs, -4, 6))
        maps = stats.gamma.ppf(chance, shape) * centre_prior((grid, grid), sd=width)
        # A cell of 1e-9 of the highest is nothing to a metric, but keeps a map from being blank.
        maps = np.maximum(maps, 1e-9 * maps.max(axis=(1, 2), keepdims=True))
        found = metrics.compare(maps[:pairs], maps[pairs:], metrics=("soft_iou", "pearson"))
        return found[["soft_iou", "pearson"]].mean().to_numpy() - wanted

    start = np.log([0.25, 7])
    found = optimize.minimize(
        lambda logs: np.square(missed(logs)).sum(), start, method="Nelder-Mead",
        options={"xatol": 1e-3, "fatol": 1e-8, "maxiter": 200},
    ).x  # fmt: skip
    if np.abs(missed(found)).max() > 0.02:
        return None
    width, shape = np.exp(np.clip(found, -4, 6))
    return float(width), float(shape)


def prior_table(
    grids: Sequence[int], *, width: float, shape: float, pairs: int, seed: int,
    fitted: Mapping[str, tuple[int, float, float]] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Drift metrics of independent maps, by grid.

    Parameters
    ----------
    grids : sequence of int
        Sides in cells.
    width, shape
        See `draw_maps`; the prior "uniform" has no width.
    pairs : int
        Of maps, drawn for each prior and grid.
    fitted : mapping of str to (grid, width, shape), optional
        Further priors, such as those of `fitted_prior`, each for one grid.
    seed : int
        Each grid and prior has a seed derived from it, so that none depends on the others.

    Returns
    -------
    DataFrame
        A row per grid, prior ("uniform", "centre", those that were fitted) and metric: ``mean``,
        ``sd``, ``se`` (Monte-Carlo standard error of the mean), ``pairs``, and ``exact``, the
        closed form of the overlap of uniform masks (NaN elsewhere).
    """
    rows, known = [], {"uniform": (None, shape), "centre": (width, shape)}
    wanted = [(grid, prior, *known[prior]) for grid, prior in product(dict.fromkeys(grids), known)]
    wanted += [(grid, prior, *of) for prior, (grid, *of) in (fitted or {}).items()]
    for grid, prior, spread, peaked in wanted:
        own = derive(seed, "prior", prior, grid)
        maps = draw_maps(2 * pairs, grid, width=spread, shape=peaked, seed=own)
        found = metrics.compare(maps[:pairs], maps[pairs:], metrics=METRICS)
        for metric in METRICS:
            mean, sd = found[metric].mean(), found[metric].std()
            exact = np.nan
            if (prior, metric) == ("uniform", "iou_top20"):
                exact = expected_overlap(grid**2, math.ceil(0.2 * grid**2 - 1e-9))
            rows.append([grid, prior, metric, mean, sd, sd / math.sqrt(pairs), pairs, exact])
    columns = ["grid", "prior", "metric", "mean", "sd", "se", "pairs", "exact"]
    return pd.DataFrame(rows, columns=columns)


def centre_prior(grid: tuple[int, int], *, sd: float = 0.25) -> np.ndarray:
    """Map (h, w) that knows the geometry of the film alone: a Gaussian, 1 at the film's centre.

    Its standard deviation is in sides of the film: at 1/4, two thirds of a continuous map's mass
    lie in the middle half along each axis.
    """
    y, x = ((2 * np.arange(cells) + 1 - cells) / (2 * cells) for cells in grid)
    return np.exp(-(y[:, None] ** 2 + x**2) / (2 * sd**2))
