"""Whether the drift metrics measure one thing, and so rank the same pairs of maps alike.

Metrics that agree can stand for each other; one that agrees with none measures something else.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from lib.drift.metrics import CHANGES, QUICK, SIMILARITIES
from lib.inference.crossed import ratio
from lib.study.schema import TABLES


def as_drift(pairs: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Metrics turned so that more is more drift: similarities negated, changes by their size."""
    table = pairs[list(metrics)].copy()
    for name in metrics:
        if name in SIMILARITIES:
            table[name] = -table[name]
        elif name in CHANGES:
            table[name] = table[name].abs()
    return table


def metric_agreement(pairs: pd.DataFrame, *, metrics: Sequence[str] = QUICK) -> pd.DataFrame:
    """Spearman correlation of every two metrics over the films of a pair of checkpoints.

    Parameters
    ----------
    pairs : DataFrame
        Rows of ``tables/pairs.csv`` of one pairing; blank pairs do not count.

    Returns
    -------
    DataFrame
        ``architecture``, ``role``, ``method``, ``metric_a``, ``metric_b``, ``rho`` in [−1, 1] (more
        drift by the one goes with more drift by the other; the mean over pairs of checkpoints),
        ``pairs`` (of maps) and ``runs`` (pairs of checkpoints). ρ is NaN below three films or where
        a metric is constant.
    """
    known = pairs[pairs[list(metrics)].notna().all(axis=1)]
    first, second = two = np.triu_indices(len(metrics), k=1)
    by, parts = ["architecture", "role", "method"], []
    for cell, own in known.groupby(by, sort=False):
        found = [
            _correlations(as_drift(run, metrics).to_numpy())
            for _, run in own.groupby(["before", "after"], sort=False)
            if len(run) > 2
        ]
        rho = np.stack(found) if found else np.full((1, len(metrics), len(metrics)), np.nan)
        mean = ratio(np.nansum(rho, axis=0), (~np.isnan(rho)).sum(axis=0))
        names = {"metric_a": [metrics[i] for i in first], "metric_b": [metrics[i] for i in second]}
        facts = dict(zip(by, cell, strict=True)) | names
        parts.append(
            pd.DataFrame(facts | {"rho": mean[two], "pairs": len(own), "runs": len(found)})
        )
    columns = TABLES["metric_agreement"].columns
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _correlations(values: np.ndarray) -> np.ndarray:
    ranks = rankdata(values, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.corrcoef(ranks, rowvar=False)
