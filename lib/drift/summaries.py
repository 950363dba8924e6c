"""Tables of drift metrics: summaries of pairs by group, and ranks of architectures."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib.attribution.maps import MapSet, correct, require_same_films
from lib.drift import pairings
from lib.drift.metrics import COSTLY, METRICS, QUICK, SIMILARITIES
from lib.study.artefacts import atomic, read_table, require
from lib.study.errors import ArtefactError
from lib.study.names import trained
from lib.study.paths import StudyPaths
from lib.study.schema import CELL, require_columns


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
    require_columns(pairs, [*by, *metrics, "blank"], "pairs")
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
    require_columns(summary, ["architecture", "metric", "mean", *by], "summary")
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


def support_table(sets: dict[str, dict[str, MapSet]], *, classes: Sequence[str]):
    """Films that every trained checkpoint of every architecture classifies correctly.

    Parameters
    ----------
    sets : dict of architecture to dict of checkpoint to MapSet

    Returns
    -------
    common : ndarray of bool, shape (films,)
        Membership in the common support, in the order of the maps.
    table : DataFrame
        ``label``, ``films``, ``common``: test films and members of the common support by class.
    """
    everything = {f"{a}/{c}": m for a, of in sets.items() for c, m in of.items() if trained(c)}
    require_same_films(everything)
    common = pairings.common_support(np.stack([correct(m) for m in everything.values()]))
    labels = next(iter(everything.values())).label
    table = pd.DataFrame(
        {
            "label": classes,
            "films": np.bincount(labels, minlength=len(classes)),
            "common": np.bincount(labels[common], minlength=len(classes)),
        }
    )
    return common, table


def drift_tables(
    sets: dict[str, dict[str, MapSet]],
    wanted: Sequence[pairings.Pairing],
    patients: Sequence[str],
    common: np.ndarray,
    *,
    seed: int,
    pairs_file,
    keep: Sequence[str] = ("iou_top20",),
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Compare all pairs; the full table goes to disk cell by cell, summaries are returned.

    Parameters
    ----------
    sets : dict of architecture to dict of checkpoint to MapSet
    patients : sequence of str, shape (films,)
    common : ndarray of bool, shape (films,)
        The common support. A pair of two films counts only if both belong to it.
    seed : int
        Seed of the choice of unrelated films.
    pairs_file : Path
        CSV that receives every pair with all metrics.
    keep : sequence of str
        Metrics to return for every pair of the common support, for figures.

    Returns
    -------
    drift, strata, pairs : DataFrame
        Summaries on the common support by architecture, method, role and pairing; the same over all
        films by outcome stratum, without the costly metrics; and the kept metrics of every pair of
        the common support.

    Raises
    ------
    ArtefactError
        If no architecture has maps of both checkpoints of any pairing.
    """
    if all(len(pairings.missing(wanted, of)) == len(wanted) for of in sets.values()):
        raise ArtefactError(
            f"{pairs_file}: nothing to compare, no architecture has maps of two checkpoints that "
            "are paired. Run 03_finetune and 04_attribute first, or `make reproduce`."
        )
    whole, by_stratum, kept = [], [], []
    some = next(iter(next(iter(sets.values())).values()))
    member = pd.Series(common, index=some.image_id)
    with atomic(pairs_file) as temporary:
        for architecture, of in sets.items():
            for cell in pairings.compare_cells(of, wanted, patients, common, seed=seed):
                cell.insert(0, "architecture", architecture)
                both = member[cell["image_id"]].to_numpy() & member[cell["partner_id"]].to_numpy()
                cell.insert(9, "common", both)
                header = not temporary.exists()
                cell.to_csv(temporary, mode="a", header=header, index=False, float_format="%.6g")
                names = [*CELL, "before", "after"]
                whole.append(_summary(cell[both], cell, names))
                by_stratum.append(summarise(cell, [*names, "stratum"], metrics=QUICK))
                kept.append(cell.loc[both, [*CELL, "after", "image_id", *keep, "blank"]])
    return tuple(pd.concat(parts, ignore_index=True) for parts in (whole, by_stratum, kept))


def _summary(selected: pd.DataFrame, cell: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    if len(selected):
        scored = selected[selected["blank"] == ""]
        # On a fine grid nobody waits for the costly metrics: they have no row there.
        left_out = [x for x in COSTLY if len(scored) and scored[x].isna().all()]
        metrics = [name for name in METRICS if name not in left_out]
        return summarise(selected, names, metrics=metrics)
    # An empty common support is a result: the cell stays in the table with n = 0.
    table = summarise(cell.iloc[:1].assign(blank="no film"), names)
    return table.assign(n=0, mean=np.nan, sd=np.nan, median=np.nan, blank=0)


def over_seeds(table: pd.DataFrame, by: Sequence[str] = CELL) -> pd.DataFrame:
    """Summaries of single checkpoint pairs brought to one row per cell and metric.

    The mean is that of the pairs' means, each pair of checkpoints with equal weight; ``sd`` is the
    spread over films within a pair (root of the mean variance), ``pairs`` the number of checkpoint
    pairs and ``sd_pairs`` the spread of their means (NaN with one). ``n`` and ``blank`` are sums.
    """
    by = [*by, "metric"]
    table = table.assign(variance=table["sd"] ** 2)
    grouped = table.groupby(by, sort=False, observed=True)
    out = grouped.agg(
        pairs=("mean", "size"),
        n=("n", "sum"),
        mean=("mean", "mean"),
        sd=("variance", "mean"),
        sd_pairs=("mean", "std"),
        blank=("blank", "sum"),
    ).reset_index()
    return out.assign(sd=np.sqrt(out["sd"]))


_BESIDE = ["architecture", "role", "method", "pairing"]
_SIDES = ("placebo", "finetune", "finetune_seeds", "ceiling")


def drift_side_by_side(before, after, *, metric="iou_top20"):
    """Put the drift of two studies beside each other, e.g. without and with a remedy.

    Parameters
    ----------
    before, after : lib.study.paths.StudyPaths or None
        Two finished studies; with None the table has no rows.
    metric : str
        See `lib.drift.metrics`.

    Returns
    -------
    pandas.DataFrame
        ``architecture``, ``role``, ``method``, ``pairing``, ``before``, ``after`` (means over the
        common support of either study: not the same films), ``change``, and ``n_before``,
        ``n_after``, ``blank_before``, ``blank_after``. Cells that one study lacks are left out.

    Raises
    ------
    lib.study.errors.ArtefactError
        If a table is missing or not complete.
    """
    columns = [*_BESIDE, "before", "after", "change"]
    counts = [f"{name}_{time}" for name in ("n", "blank") for time in ("before", "after")]
    if before is None or after is None:
        return pd.DataFrame(columns=[*columns, *counts])
    both = _means(before, metric).merge(
        _means(after, metric), on=_BESIDE, suffixes=("_before", "_after")
    )
    both = both.rename(columns={"mean_before": "before", "mean_after": "after"})
    both["change"] = both["after"] - both["before"]
    return both[[*columns, *counts]]


def _means(paths: StudyPaths, metric):
    require(paths.tables / "drift.csv")
    table = read_table(paths.tables / "drift.csv")
    table = table[(table["metric"] == metric) & table["pairing"].isin(_SIDES)]
    return table[[*_BESIDE, "mean", "n", "blank"]]
