"""Tables of drift metrics: summaries of pairs by group, and ranks of architectures."""

from collections.abc import Sequence

import pandas as pd

from lib.drift.metrics import METRICS, SIMILARITIES


def summarise(pairs: pd.DataFrame, by: Sequence[str], *, metrics: Sequence[str] = METRICS):
    """Mean, spread and number of pairs per group and metric, with blank pairs counted.

    Parameters
    ----------
    pairs : pandas.DataFrame
        One row per pair: the columns of `by`, the metrics and "blank" as from `metrics.compare`.
    by : sequence of str
        Columns that make a group; a missing value in them is a group of its own.
    metrics : sequence of str
        Columns to summarise.

    Returns
    -------
    pandas.DataFrame
        Columns of `by`, "metric", "n" (pairs scored), "mean", "sd" (ddof = 1; NaN below two
        pairs), "median", "blank" (blank pairs). A group of blank pairs alone keeps its rows, with
        n = 0. Sorted by group; the metrics in the given order.

    Raises
    ------
    ValueError
        If a column is missing, or a metric is NaN in a pair that is not blank.
    """
    by, metrics = list(by), list(metrics)
    _require_columns(pairs, [*by, *metrics, "blank"], "pairs")
    blank = pairs["blank"].notna() & (pairs["blank"] != "")  # a CSV reads "" back as missing
    unexplained = pairs.loc[~blank, metrics].isna().sum()
    if unexplained.any():
        found = unexplained[unexplained > 0].to_dict()
        raise ValueError(f"pairs: found NaN in pairs that are not blank, {found}; expected none.")
    groups = {"by": [pairs[column] for column in by], "observed": True, "dropna": False}
    scored, blanks = pairs[metrics].where(~blank).groupby(**groups), blank.groupby(**groups).sum()
    statistics = {"n": "count", "mean": "mean", "sd": "std", "median": "median"}
    tables = [
        scored[metric].agg(**statistics).assign(metric=metric, blank=blanks).reset_index()
        for metric in metrics
    ]
    # Row g of every table is group g: a stable sort on it keeps the metrics in order.
    table = pd.concat(tables).sort_index(kind="stable").reset_index(drop=True)
    return table[[*by, "metric", *statistics, "blank"]]


def rank_architectures(
    summary: pd.DataFrame, *, metric: str, by: Sequence[str] = ("method", "role")
) -> pd.DataFrame:
    """Rank architectures by how stable their maps are, 1 = most stable, within each group.

    Parameters
    ----------
    summary : pandas.DataFrame
        As from `summarise`, with the columns "architecture" and `by`.
    metric : str
        A name from `metrics.METRICS`, or "iou_top" and a percentage. Similarities rank from the
        highest mean, changes and distances from the smallest absolute mean.
    by : sequence of str
        Columns that make a group; an architecture may occur only once in each.

    Returns
    -------
    pandas.DataFrame
        The rows of that metric with "rank" (float; average on ties, NaN where the mean is NaN).

    Raises
    ------
    ValueError
        If the metric is unknown or absent, a column is missing, or an architecture occurs twice.
    """
    by = list(by)
    _require_columns(summary, ["architecture", "metric", "mean", *by], "summary")
    similarity = metric in SIMILARITIES or metric.startswith("iou_top")
    rows = summary[summary["metric"] == metric].reset_index(drop=True)
    if not (similarity or metric in METRICS) or rows.empty:
        available = sorted(summary["metric"].unique())
        raise ValueError(f"metric: found {metric!r}; expected one of {METRICS} and {available}.")
    twice = rows.duplicated(["architecture", *by])
    if twice.any():
        found = rows.loc[twice, ["architecture", *by]].iloc[0].to_dict()
        raise ValueError(f"by: found {found} twice; expected once: select rows or extend `by`.")
    drift = -rows["mean"] if similarity else rows["mean"].abs()
    groups = [rows[column] for column in by]
    return rows.assign(rank=drift.groupby(groups, observed=True, dropna=False).rank())


def _require_columns(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    missing = [column for column in columns if column not in frame]
    if missing:
        raise ValueError(f"{name}: found columns {list(frame)}; expected also {missing}.")
