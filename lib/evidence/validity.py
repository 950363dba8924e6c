"""Whether the drift metrics, which know no reference, follow the change of the true evidence.

On films whose lesion is known, the change of the mass in the lesion can be set beside each drift
metric. A metric may follow the *size* of the change and not its *sign*: it then sees that evidence
moved, and cannot tell whether it moved onto the lesion or away from it.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from lib.drift.metrics import CHANGES, METRICS, SIMILARITIES
from lib.evidence.changes import PAIR
from lib.study.schema import TABLES, require_columns

RELATIONS = ("size", "signed")
_CELL = ["architecture", "pairing", "role", "method"]
LESION = "lesion_mass_change"
"""The change that metrics are asked about as a rule."""
_RESAMPLES_PER_CHUNK = 250  # bounds the memory, whatever the number of films


def with_change(pairs: pd.DataFrame, change: pd.DataFrame) -> pd.DataFrame:
    """Drift of each pair of maps (``tables/pairs.csv``) beside the change of the evidence in them.

    Those of which the change is known, with the columns of both tables; a ValueError if a column is
    missing, a pair occurs twice, or no pair has a change.
    """
    for name, table in (("pairs", pairs), ("change", change)):
        require_columns(table, PAIR, name)
        # Pairs of unrelated films may repeat a film; they are never in the changes.
        own = table[table["pairing"] != "ceiling"]
        if own.duplicated(PAIR).any():
            twice = own.loc[own.duplicated(PAIR), PAIR].iloc[0].to_dict()
            raise ValueError(f"{name}: found {twice} twice; expected once.")
    extra = [column for column in change if column not in pairs]
    joined = pairs.merge(change[change["pairing"] != "ceiling"][[*PAIR, *extra]], on=PAIR)
    if joined.empty:
        raise ValueError(
            f"pairs: found {len(pairs)} pairs and none of the {len(change)} changes; expected the "
            "same architectures, pairings, checkpoints, layers, methods and films."
        )
    return joined


def metric_validity(
    pairs: pd.DataFrame, change: pd.DataFrame, *, seed: int, metrics: Sequence[str] = METRICS,
    resamples: int = 2000, target: str = LESION,
) -> pd.DataFrame:  # fmt: skip
    """Spearman correlation of each drift metric with the change of the lesion's mass, over films.

    Similarities enter negated, so that a positive ρ means: more drift where the evidence changed
    more ("size", |B − A|), or where it was gained ("signed", B − A). Changes of concentration enter
    by their size or with their sign accordingly. A pair counts if the change and all metrics are
    defined, so that all metrics are judged on the same pairs. ρ is computed within each pair of
    checkpoints and averaged over them, as training seeds are no more films.

    The size can follow only as far as evidence moves across the border of the lesion: a map that
    moves from one place outside it to another drifts without a change of this evidence.

    Parameters
    ----------
    pairs, change : DataFrame
        As in `with_change`.
    seed, resamples : int
        Of the bootstrap, of patients with all of their films.
    metrics : sequence of str
        Of `lib.drift.metrics.METRICS`.
    target : str
        Column of `change` in the place of the lesion's mass; films without a lesion then count too.

    Returns
    -------
    DataFrame
        A row per architecture, pairing, role, method, metric and relation: these, ``rho``, ``low``,
        ``high`` in [−1, 1], ``n`` (pairs scored), ``blank`` (pairs of films with a lesion that have
        no value), ``films``, ``patients``, ``runs`` (pairs of checkpoints). ρ is NaN below three
        films or if a side is constant, the interval also below three patients. The 95 % percentile
        interval holds over patients for the checkpoints at hand; it does not contain the spread of
        training seeds.

    Raises
    ------
    ValueError
        If a metric is unknown, a column is missing, or as `with_change`.
    """
    if unknown := [name for name in metrics if name not in METRICS]:
        raise ValueError(f"metrics: found {unknown}; expected some of {METRICS}.")
    joined = with_change(pairs, change)
    of_lesion = ["lesion_area"] if target == LESION else []
    require_columns(joined, [target, *of_lesion, "patient_id", *metrics], "pairs, change")
    joined = joined[joined[of_lesion].notna().all(axis=1)]
    scored = joined[[target, *metrics]].notna().all(axis=1)
    # The same draw of patients for all cells: their correlations can be compared.
    patients = np.sort(joined.loc[scored, "patient_id"].unique())
    weights = _draw(len(patients), resamples, seed)
    rows = []
    for cell, part in joined.assign(scored=scored).groupby(_CELL, sort=False, observed=True):
        used = part[part["scored"]]
        of_runs = [
            _correlations(run, target, metrics, weights[patients.searchsorted(run["patient_id"])])
            for _, run in used.groupby(["before", "after"], sort=False)
        ]
        counts = {"n": len(used), "blank": len(part) - len(used)}
        counts |= {"films": used["image_id"].nunique(), "patients": used["patient_id"].nunique()}
        for (i, metric), (j, relation) in product(enumerate(metrics), enumerate(RELATIONS)):
            rho = [each[i, j] for each in of_runs if not np.isnan(each[i, j, 0])]
            estimate, low, high = _interval(rho, enough=counts["patients"] >= 3)
            found = {"metric": metric, "relation": relation, "rho": estimate}
            found |= {"low": low, "high": high, **counts, "runs": len(rho)}
            rows.append(dict(zip(_CELL, cell, strict=True)) | found)
    # Without lesions there is no row, but a table that can be read.
    return pd.DataFrame(rows, columns=TABLES["validity"].columns)


def _draw(patients: int, resamples: int, seed: int) -> np.ndarray:
    """How often each patient counts, (patients, 1 + R): once in the first column, then as drawn."""
    if not patients:
        return np.empty((0, 1 + resamples))
    chances = np.full(patients, 1 / patients)
    draws = np.random.default_rng(seed).multinomial(patients, chances, size=resamples)
    return np.vstack([np.ones(patients), draws]).T


def _interval(rho: list[np.ndarray], *, enough: bool) -> tuple[float, float, float]:
    """Mean over runs of (1 + R,): the estimate, and 95 % of the resamples that have one."""
    if not rho:
        return (np.nan,) * 3
    mean = np.mean(rho, axis=0)
    drawn = mean[1:][~np.isnan(mean[1:])]
    if not (enough and len(drawn)):
        return mean[0], np.nan, np.nan
    return mean[0], *np.quantile(drawn, [0.025, 0.975])


def _correlations(
    run: pd.DataFrame, target: str, metrics: Sequence[str], weights: np.ndarray
) -> np.ndarray:
    """ρ of one pair of checkpoints, shape (metrics, relations, 1 + R); NaN below three films.

    weights : (films, 1 + R), how often each film was drawn.
    """
    change = run[target].to_numpy()
    values = np.full((len(metrics), len(RELATIONS), weights.shape[1]), np.nan)
    if len(run) < 3:
        return values
    for start in range(0, weights.shape[1], _RESAMPLES_PER_CHUNK):
        chunk = slice(start, start + _RESAMPLES_PER_CHUNK)
        w = weights[:, chunk]
        targets = _scores(np.abs(change), w), _scores(change, w)
        for i, metric in enumerate(metrics):
            drift = run[metric].to_numpy()
            drift = -drift if metric in SIMILARITIES else drift
            score = _scores(drift, w)
            sized = _scores(np.abs(drift), w) if metric in CHANGES else score
            for j, (x, y) in enumerate(zip((sized, score), targets, strict=True)):
                values[i, j, chunk] = np.clip((x * y).sum(axis=0), -1, 1)
    return values


def _scores(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Standardised average ranks of weighted values, whose products sum to Spearman's ρ.

    values : (films,); weights : (films, R), how often each was drawn. A column is NaN where all
    values drawn are equal.
    """
    _, first, group = np.unique(values, return_index=True, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(first)))
    drawn = np.add.reduceat(weights[order], starts, axis=0)  # of each distinct value
    ranks = (np.cumsum(drawn, axis=0) - drawn / 2)[group]
    total = weights.sum(axis=0)
    # Average ranks always have the mean total / 2, in these units.
    centred = np.sqrt(weights) * (ranks - total / 2)
    square = (centred**2).sum(axis=0)
    centred /= np.sqrt(np.where(square > 1e-9 * np.maximum(total, 1) ** 3, square, np.nan))
    return centred
