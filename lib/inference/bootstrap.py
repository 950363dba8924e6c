"""Crossed bootstrap of the means of cells.

Seeds and patients are resampled independently and films within the drawn patients: the pigeonhole
bootstrap of Owen (2007) and Owen & Eckles (2012), carried out by weights. Cells that share seeds or
films are resampled together, so any function of the cell means can be bootstrapped.

It is there for what has no closed form, such as ranks. For intervals and tests use
`lib.inference.contrasts`: percentile intervals cover too little with few seeds.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from lib.inference.crossed import Cell, CrossedCells, ratio

DECIMALS = 12
"""Scores equal to so many decimals are tied: equal means may differ in the last bit, and which way
depends on the order in which a processor adds."""


@dataclass(frozen=True)
class Weights:
    """How often each unit was drawn, R resamples.

    ``films``, shape (R, films), are common to all cells; ``seeds``, by group and seed, shape (R,),
    are independent between groups.
    """

    films: np.ndarray
    seeds: dict[tuple[str, int], np.ndarray]

    def rows(self, cell: Cell) -> np.ndarray:
        """Weights of a cell's rows, shape (R, rows): products of two seeds' where rows are pairs.

        The only pair of two seeds has weight 1: leaving it out leaves nothing.
        """
        if cell.pairs and len(cell.seeds) == 1:
            return np.ones((len(self.films), 1))
        per_seed = cell.seeds.reshape(len(cell.seeds), -1)
        factors = [[self.seeds[cell.group, seed] for seed in row] for row in per_seed.tolist()]
        return np.prod(np.array(factors), axis=1).T


@dataclass(frozen=True)
class Bootstrap:
    """Bootstrapped cell means.

    ``estimates`` have shape (cells,), ``draws`` (R, cells): NaN where nothing was drawn that has a
    value, such as one seed R times where rows are pairs.
    """

    names: tuple[Hashable, ...]
    estimates: np.ndarray
    draws: np.ndarray

    def select(self, names: Sequence[Hashable]) -> tuple[np.ndarray, np.ndarray]:
        """Estimates (n,) and draws (R, n) of these cells."""
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise ValueError(f"cell: found {unknown[0]!r}; expected one of {list(self.names)}.")
        columns = [self.names.index(name) for name in names]
        return self.estimates[columns], self.draws[:, columns]


def draw_weights(cells: CrossedCells, *, resamples: int = 2000, seed: int) -> Weights:
    """Draw seeds, patients, and films within the drawn patients, all with replacement, R times.

    Of S seeds S − 1 are drawn (McCarthy & Snowden 1985; Rao & Wu 1988), which makes the variance of
    a mean over seeds unbiased; S draws make it too small by the factor (S − 1)/S, which matters
    with two to five seeds. A single seed is always drawn.
    """
    if not isinstance(resamples, int | np.integer) or resamples < 1:
        raise ValueError(f"resamples: found {resamples!r}; expected a positive integer.")
    of_films, of_seeds = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    sizes = cells.films_per_patient()
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    drawn = of_films.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=resamples)
    blocks = np.empty((resamples, sizes.sum()))
    for size in np.unique(sizes):
        of_size = np.flatnonzero(sizes == size)
        # A patient drawn k times contributes k·size draws among its films.
        within = of_films.multinomial(size * drawn[:, of_size], np.full(size, 1 / size))
        for number in range(size):
            blocks[:, first[of_size] + number] = within[..., number]

    members: dict[str, set[int]] = {}
    for cell in cells.cells.values():
        members.setdefault(cell.group, set()).update(cell.seeds.ravel().tolist())
    seeds = {}
    for group in sorted(members):
        number = len(members[group])
        chances = np.full(number, 1 / number)
        counts = of_seeds.multinomial(max(number - 1, 1), chances, size=resamples)
        seeds |= {(group, each): counts[:, i] for i, each in enumerate(sorted(members[group]))}
    return Weights(cells.spread_to_films(blocks), seeds)


def bootstrap(cells: CrossedCells, *, resamples: int = 2000, seed: int) -> Bootstrap:
    """Bootstrap the means of all cells together.

    The spread over resamples is no standard error to rely on. Interaction of seeds and patients,
    and noise, enter its variance about three times (Owen 2007) and variance within patients twice:
    too wide where these rule. Means over pairs of seeds are resampled with weights w_i·w_j, i ≠ j:
    their variance between seeds comes out at 0.50, 0.73, 0.79 and 0.83 of the truth with 3, 4, 5
    and 8 seeds (enumerated for additive seed effects).
    """
    for name, cell in cells.cells.items():
        if cell.scores.ndim != 2:
            raise ValueError(
                f"cell {name}: found scores of shape {cell.scores.shape}; expected (rows, films), "
                "one data set at a time."
            )
    weights = draw_weights(cells, resamples=resamples, seed=seed)
    estimates = np.array([cells.influence(name).mean for name in cells.cells])
    return Bootstrap(tuple(cells.cells), estimates, _weighted_means(cells, weights))


def _weighted_means(cells: CrossedCells, weights: Weights) -> np.ndarray:
    """Means of all cells over the values that are not NaN, shape (R, cells).

    Row weights times drawn films times the films' own weights; NaN where all are 0.
    """
    values = np.concatenate([cell.scores for cell in cells.cells.values()])
    observed = ~np.isnan(values)
    share = np.concatenate([np.tile(c.weights, (len(c.scores), 1)) for c in cells.cells.values()])
    totals = weights.films @ (share * np.where(observed, values, 0)).T  # (R, rows of all cells)
    counts = weights.films @ (share * observed).T
    draws = np.empty((len(weights.films), len(cells.cells)))
    start = 0
    for column, cell in enumerate(cells.cells.values()):
        rows = slice(start, start := start + len(cell.scores))
        weight = weights.rows(cell)
        draws[:, column] = ratio(
            (weight * totals[:, rows]).sum(axis=1), (weight * counts[:, rows]).sum(axis=1)
        )
    return draws


def rank_probabilities(draws: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """How often each architecture takes each rank over the resamples; rank 1 = highest.

    Of bootstrapped stability (R, n), higher = more stable: similarities as they are, −|·| of
    distances and changes. Resamples with a NaN do not count.

    Returns
    -------
    DataFrame
        A row per name and rank, n²: ``architecture``, ``rank`` (1 … n), ``probability`` (sums to 1
        over names and over ranks; NaN if no resample counts) and ``resamples`` (that count). Ties
        share their ranks in equal parts.
    """
    draws = np.round(np.asarray(draws, dtype=float), DECIMALS)
    if draws.ndim != 2 or draws.shape[1] != len(names):
        raise ValueError(
            f"draws: found shape {draws.shape}; expected (resamples, {len(names)}) for {names}."
        )
    draws = draws[~np.isnan(draws).any(axis=1)]
    ranks = np.arange(1, len(names) + 1)
    first, last = (rankdata(-draws, method, axis=1)[..., None] for method in ("min", "max"))
    share = ((first <= ranks) & (ranks <= last)) / (last - first + 1)  # (R, n, n)
    probability = share.mean(axis=0) if len(draws) else np.full((len(names),) * 2, np.nan)
    return pd.DataFrame(
        {
            "architecture": np.repeat(list(names), len(names)),
            "rank": np.tile(ranks, len(names)),
            "probability": probability.ravel(),
            "resamples": len(draws),
        }
    )


def kendall_tau(first, second) -> np.ndarray:
    """Kendall's rank correlation τ_b between two scorings (..., n) of the same n ≥ 2 architectures.

    In [−1, 1], shape (...): 1 = the same ranking, −1 = the reverse; corrected for ties (Kendall
    1945). NaN where a value is NaN or all n are tied.
    """
    first, second = (np.round(np.asarray(x, dtype=float), DECIMALS) for x in (first, second))
    if first.shape != second.shape or first.ndim == 0 or first.shape[-1] < 2:
        raise ValueError(
            f"first, second: found shapes {first.shape} and {second.shape}; expected the same, "
            "with two architectures or more on the last axis."
        )
    i, j = np.triu_indices(first.shape[-1], k=1)
    a, b = (np.sign(scores[..., i] - scores[..., j]) for scores in (first, second))
    untied = (np.abs(a).sum(axis=-1), np.abs(b).sum(axis=-1))
    return ratio((a * b).sum(axis=-1), np.sqrt(untied[0] * untied[1]))[()]


def rank_agreement(
    boot: Bootstrap, first: Sequence[Hashable], second: Sequence[Hashable], *,
    distance: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """Kendall's τ between the rankings of architectures under two methods, and its distribution.

    Of the architectures' cells under either method, in the same order; a distance or change ranks
    by −|·|.

    Returns
    -------
    DataFrame
        A row per value of τ that occurs, ascending: ``tau``, ``probability`` (share of the
        resamples in which it is defined), ``resamples`` (that count), ``observed`` (True for the τ
        of the estimates).
    """
    scores = [boot.select(names) for names in (first, second)]
    if distance:
        scores = [[-np.abs(values) for values in both] for both in scores]
    observed, drawn = (np.round(kendall_tau(*both), DECIMALS) for both in zip(*scores, strict=True))
    drawn = drawn[~np.isnan(drawn)]
    values = np.union1d(drawn, observed[~np.isnan(observed)])
    return pd.DataFrame(
        {
            "tau": values,
            "probability": [(drawn == tau).mean() if len(drawn) else np.nan for tau in values],
            "resamples": len(drawn),
            "observed": values == observed,
        }
    )
