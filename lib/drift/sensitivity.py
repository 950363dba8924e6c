"""How much drift and the ranking of architectures depend on choices that papers leave open."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib.drift.summaries import rank_architectures
from lib.inference.bootstrap import kendall_tau


def baseline(reading: str) -> str:
    """The study's own reading of the same method: the name up to the first comma."""
    return reading.split(",")[0]


def sensitivity(
    summary: pd.DataFrame, readings: Sequence[str], *, metric: str = "iou_top20"
) -> pd.DataFrame:
    """By how much drift and the ranking of architectures change with each reading.

    Parameters
    ----------
    summary : DataFrame
        As `lib.drift.summaries.over_seeds`, with readings in ``method``; one pairing.
    readings : sequence of str
        Their order, as in `lib.attribution.readings.READINGS`.
    metric : str
        A similarity.

    Returns
    -------
    DataFrame
        A row per role and reading: mean by architecture, ``n`` (least over architectures),
        ``blank`` (sum), ``order`` (architectures from most to least stable), ``largest_change`` of
        a mean against the study's own reading, ``tau`` (Kendall's, between both rankings).
    """
    ranked = rank_architectures(summary, metric=metric)
    by = ["role", "method"]
    counts = ranked.groupby(by).agg(n=("n", "min"), blank=("blank", "sum"))
    means = ranked.pivot_table(index=by, columns="architecture", values="mean", dropna=False)
    means = means.reindex(counts.index)
    own = pd.MultiIndex.from_tuples([(role, baseline(method)) for role, method in means.index])
    reference = means.reindex(own).to_numpy()
    # Blank cells have no mean, and a cell of them alone has no change either.
    change = pd.DataFrame(np.abs(means.to_numpy() - reference), index=means.index).max(axis=1)
    table = means.join(counts).assign(
        order=[_order(row) for _, row in means.iterrows()],
        largest_change=change,
        tau=kendall_tau(means.to_numpy(), reference) if means.shape[1] > 1 else np.nan,
    )
    roles = dict.fromkeys(ranked["role"])
    order = [(role, name) for role in roles for name in readings if (role, name) in table.index]
    return table.loc[order].reset_index()


def _order(means: pd.Series) -> str:
    found = means.dropna().sort_values(ascending=False, kind="stable").index
    blank = f" ({len(means) - len(found)} blank)" if len(found) < len(means) else ""
    return " > ".join(found) + blank
