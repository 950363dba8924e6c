"""Ranks of architectures over bootstrapped means: their probabilities, and agreement of methods."""

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd

from lib.crossed import ratio
from lib.resampling import Bootstrap

DECIMALS = 12
"""Scores equal to so many decimals are tied: equal means may differ in the last bit, and which way
depends on the order in which a processor adds."""


def rank_probabilities(draws: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """How often each architecture takes each rank over the resamples; rank 1 = highest.

    Parameters
    ----------
    draws : ndarray of shape (R, n)
        Bootstrapped stability, higher = more stable: similarities as they are, −|·| of distances
        and changes. Resamples with a NaN do not count.
    names : sequence of n str

    Returns
    -------
    DataFrame
        A row per name and rank, n²: ``architecture``, ``rank`` (1 … n), ``probability`` (sums to 1
        over names and over ranks; NaN if no resample counts) and ``resamples`` (that count). Ties
        share their ranks in equal parts.

    Raises
    ------
    ValueError
        If the shape does not fit the names.
    """
    draws = np.round(np.asarray(draws, dtype=float), DECIMALS)
    if draws.ndim != 2 or draws.shape[1] != len(names):
        raise ValueError(
            f"draws: found shape {draws.shape}; expected (resamples, {len(names)}) for {names}."
        )
    draws = draws[~np.isnan(draws).any(axis=1)]
    above = (draws[:, None, :] > draws[:, :, None]).sum(axis=2)[..., None]  # (R, n, 1)
    tied = (draws[:, None, :] == draws[:, :, None]).sum(axis=2)[..., None]
    ranks = np.arange(len(names))
    share = ((ranks >= above) & (ranks < above + tied)) / tied
    probability = share.mean(axis=0) if len(draws) else np.full((len(names),) * 2, np.nan)
    return pd.DataFrame(
        {
            "architecture": np.repeat(list(names), len(names)),
            "rank": np.tile(ranks + 1, len(names)),
            "probability": probability.ravel(),
            "resamples": len(draws),
        }
    )


def kendall_tau(first, second) -> np.ndarray:
    """Kendall's rank correlation τ_b between two scorings of the same n architectures.

    Parameters
    ----------
    first, second : array of shape (..., n), n ≥ 2

    Returns
    -------
    float or ndarray of shape (...), in [−1, 1]
        1 = the same ranking, −1 = the reverse; corrected for ties (Kendall 1945). NaN where a value
        is NaN or all n are tied.

    Raises
    ------
    ValueError
        If the shapes differ or n < 2.
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
    boot: Bootstrap,
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    *,
    distance: bool = False,
) -> pd.DataFrame:
    """Kendall's τ between the rankings of architectures under two methods, and its distribution.

    Parameters
    ----------
    boot : Bootstrap
    first, second : sequence of cell names
        The architectures' cells under either method, in the same order.
    distance : bool
        Whether the metric is a distance or change, which ranks by −|·|; otherwise a similarity.

    Returns
    -------
    DataFrame
        A row per value of τ that occurs, ascending: ``tau``, ``probability`` (share of the
        resamples in which it is defined), ``resamples`` (that count), ``observed`` (True for the τ
        of the estimates).

    Raises
    ------
    ValueError
        If a cell is unknown or the numbers of cells differ or are below 2.
    """
    scores = [boot.select(names) for names in (first, second)]
    if distance:
        scores = [(-np.abs(estimates), -np.abs(draws)) for estimates, draws in scores]
    (estimates_a, draws_a), (estimates_b, draws_b) = scores
    observed = np.round(kendall_tau(estimates_a, estimates_b), 12)
    drawn = np.round(kendall_tau(draws_a, draws_b), 12)
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
