"""Tables of drift: a study's pairs compared, summarised by cell, ranked, beside another study's.

A cell is an architecture, method, role and pairing. `drift_tables` has a row per cell, metric and
pair of checkpoints, `over_seeds` brings them to one per cell and metric. The films that count are
an architecture's own support, every class alike.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lib.attribution.maps import MapSet, correct, require_same_films
from lib.drift import pairings
from lib.drift.metrics import METRICS, QUICK, SIMILARITIES
from lib.study.artefacts import atomic, read_table, require
from lib.study.errors import ArtefactError
from lib.study.names import trained
from lib.study.paths import StudyPaths
from lib.study.schema import CELL, TABLES, require_columns


def own_support(sets: dict[str, dict[str, MapSet]]) -> dict[str, np.ndarray]:
    """Films that every trained checkpoint of an architecture classifies correctly, by architecture.

    They are more than the common support, and other films for every architecture.
    """
    require_same_films({f"{a}/{c}": m for a, of in sets.items() for c, m in of.items()})
    return {
        architecture: np.all([correct(maps) for name, maps in of.items() if trained(name)], axis=0)
        for architecture, of in sets.items()
    }


def support_table(
    own: Mapping[str, np.ndarray], labels: np.ndarray, *, classes: Sequence[str]
) -> pd.DataFrame:
    """How many test films a class has, and how many of them count.

    Parameters
    ----------
    own : mapping of architecture to ndarray of bool, shape (films,)
        `own_support`.
    labels : ndarray of int, shape (films,)
    classes : sequence of str
        In the order of the labels.

    Returns
    -------
    DataFrame
        ``label``, ``films``, ``common`` (in the support of every architecture), and a column per
        architecture with those in its own.
    """
    counted = {"films": np.ones(len(labels), bool), "common": np.all([*own.values()], axis=0)} | own
    count = {name: np.bincount(labels[of], minlength=len(classes)) for name, of in counted.items()}
    return pd.DataFrame({"label": list(classes)} | count)


def drift_tables(
    sets: dict[str, dict[str, MapSet]],
    wanted: Sequence[pairings.Pairing],
    patients: Sequence[str],
    own: Mapping[str, np.ndarray],
    *,
    seed: int,
    pairs_file,
    class_weights: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Compare all pairs; the full table goes to disk cell by cell, summaries are returned.

    Parameters
    ----------
    sets : dict of architecture to dict of checkpoint to MapSet
    wanted : sequence of Pairing
        Those whose checkpoints are missing are passed over.
    patients : sequence of str, shape (films,)
        Patient of each film.
    own : mapping of architecture to ndarray of bool, shape (films,)
        `own_support`. A pair of two films counts only if both belong to it.
    seed : int
        Of the choice of unrelated films.
    pairs_file : Path
        CSV that receives every pair with all metrics.
    class_weights : bool
        Whether every class has the same weight in ``drift``, however many of its films count.

    Returns
    -------
    drift, strata, pairs : DataFrame
        `summarise` of each cell and pair of checkpoints on the architecture's own support; the same
        over all films by outcome stratum, every film alike and without the costly metrics; and
        ``iou_top20`` of every pair of the own support.

    Raises
    ------
    ArtefactError
        If no architecture has maps of two checkpoints that are paired.
    """
    if all(len(pairings.missing(wanted, of)) == len(wanted) for of in sets.values()):
        raise ArtefactError(
            f"{pairs_file}: nothing to compare, no architecture has maps of two checkpoints that "
            "are paired. Run 03_finetune and 04_attribute first, or `make reproduce`."
        )
    drift, strata, pairs = [], [], []
    some = next(iter(next(iter(sets.values())).values()))
    labels = pd.Series(some.label if class_weights else 0, some.image_id)
    common, by = np.all([*own.values()], axis=0), [*CELL, "before", "after"]
    with atomic(pairs_file) as temporary:
        for architecture, of in sets.items():
            support = 1 * common + own[architecture]
            member = pd.Series(support, index=some.image_id)
            for cell in pairings.compare_cells(of, wanted, patients, support, seed=seed):
                cell.insert(0, "architecture", architecture)
                of_pair = [member[cell[name]].to_numpy() for name in ("image_id", "partner_id")]
                least = np.minimum(*of_pair)
                cell.insert(9, "common", least == 2)
                cell.insert(10, "own", least > 0)
                header = not temporary.exists()
                cell.to_csv(temporary, mode="a", header=header, index=False, float_format="%.6g")
                kept = cell["own"].to_numpy()
                of_class = cell["image_id"].map(labels)
                weights = (1 / of_class.map(of_class[kept].value_counts())).where(kept, 0.0)
                metrics = _computed(cell[kept])
                drift.append(summarise(cell, by, metrics=metrics, weights=weights.to_numpy()))
                strata.append(summarise(cell, [*by, "stratum"], metrics=QUICK))
                pairs.append(cell.loc[kept, [*CELL, "after", "image_id", "iou_top20", "blank"]])
    return tuple(pd.concat(parts, ignore_index=True) for parts in (drift, strata, pairs))


def _computed(pairs: pd.DataFrame) -> list[str]:
    """All metrics but those that nobody waits for on a fine grid: they have no row there."""
    scored = pairs[pairs["blank"] == ""]
    return [name for name in METRICS if scored.empty or scored[name].notna().any()]


def summarise(
    pairs: pd.DataFrame, by: Sequence[str], *, metrics: Sequence[str] = METRICS,
    weights: np.ndarray | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Weighted mean, spread and number of pairs per group and metric, with blank pairs counted.

    Parameters
    ----------
    pairs : DataFrame
        One row per pair: the columns of `by`, the metrics and "blank" as from `metrics.compare`.
    by : sequence of str
        Columns that make a group; a missing value in them is a group of its own.
    weights : ndarray of float, one per pair, optional
        How much each pair counts, 0 not at all; without, each counts 1.

    Returns
    -------
    DataFrame
        Columns of `by`, "metric", "n" (pairs scored), "weight" (their sum of weights), "mean",
        "sd" (over pairs that count, every one alike; ddof = 1, NaN below two pairs), "blank" (blank
        pairs that count). A group without a scored pair keeps its rows, with n = 0. Sorted by
        group; the metrics in the given order.

    Raises
    ------
    ValueError
        If a column is missing, or a metric is NaN in a pair that is not blank.
    """
    by, metrics = list(by), list(metrics)
    require_columns(pairs, [*by, *metrics, "blank"], "pairs")
    weights = np.ones(len(pairs)) if weights is None else np.asarray(weights, float)
    blank = pairs["blank"].notna() & (pairs["blank"] != "")  # a CSV reads "" back as missing
    scored = ~blank & (weights > 0)
    unexplained = pairs.loc[scored, metrics].isna().sum()
    if unexplained.any():
        found = unexplained[unexplained > 0].to_dict()
        raise ValueError(f"pairs: found NaN in pairs that are not blank, {found}; expected none.")
    groups = {"by": [pairs[column] for column in by], "observed": True, "dropna": False}
    values = pairs[metrics].where(scored)
    by_group = values.groupby(**groups)
    totals = values.mul(weights, axis=0).groupby(**groups).sum()
    weight = pd.Series(weights * scored, pairs.index).groupby(**groups).sum()
    blanks = (blank & (weights > 0)).groupby(**groups).sum()
    count, means = by_group.count(), totals.div(weight.where(weight > 0), axis=0)
    # A row per group and metric: all metrics of a group, then those of the next.
    group = np.repeat(np.arange(len(count)), len(metrics))
    found = {
        "metric": np.tile(np.array(metrics, object), len(count)), "n": count.to_numpy().ravel(),
        "weight": weight.to_numpy()[group], "mean": means.to_numpy().ravel(),
        "sd": by_group.std().to_numpy().ravel(), "blank": blanks.to_numpy()[group],
    }  # fmt: skip
    table = count.index.to_frame(index=False).iloc[group].reset_index(drop=True)
    return table.assign(**found)


def transitions(pairs: pd.DataFrame, labels: pd.Series) -> pd.DataFrame:
    """What became of maps that were there, or blank: an outcome and not a missing value.

    Of ``tables/pairs.csv`` and classes by image id: by cell and class, the numbers of pairs
    ``films``, ``present`` (in both maps there is evidence), ``vanished`` (in the first alone),
    ``appeared`` (in the second alone) and ``blank`` (in neither); ``iou_top20``, the mean over
    present pairs, and ``iou_top20_lost_as_0``, over these and, as 0, the vanished and the appeared.
    """
    why = pairs["blank"].fillna("")
    first, second = (why.str.contains(f"{side}: ", regex=False) for side in "ab")
    table = pairs[CELL].assign(
        label=pairs["image_id"].map(labels), films=1, present=~first & ~second,
        vanished=~first & second, appeared=first & ~second, blank=first & second,
        iou_top20=pairs["iou_top20"],
        iou_top20_lost_as_0=pairs["iou_top20"].mask(first ^ second, 0.0),
    )  # fmt: skip
    counts = dict.fromkeys(("films", "present", "vanished", "appeared", "blank"), "sum")
    means = dict.fromkeys(("iou_top20", "iou_top20_lost_as_0"), "mean")
    groups = table.groupby([*CELL, "label"], sort=False, observed=True)
    return groups.agg(counts | means).reset_index()


def over_seeds(table: pd.DataFrame, by: Sequence[str] = CELL) -> pd.DataFrame:
    """Summaries of single checkpoint pairs brought to one row per cell and metric.

    The mean is that over all scored pairs by their weights: the estimand of every contrast and
    verdict too, see `lib.inference.crossed`. ``sd`` is the spread over films within a pair of
    checkpoints (root of the mean variance), ``pairs`` the number of checkpoint pairs and
    ``sd_pairs`` the spread of their means (NaN with one). ``n`` and ``blank`` are sums.
    """
    table = table.assign(variance=table["sd"] ** 2, total=table["mean"] * table["weight"])
    found = table.groupby([*by, "metric"], sort=False, observed=True).agg(
        pairs=("mean", "size"), n=("n", "sum"), total=("total", "sum"), weight=("weight", "sum"),
        sd=("variance", "mean"), sd_pairs=("mean", "std"), blank=("blank", "sum"),
    )  # fmt: skip
    mean = found["total"] / found["weight"].where(found["weight"] > 0)
    found = found.assign(mean=mean, sd=np.sqrt(found["sd"])).reset_index()
    return found[[*by, "metric", "pairs", "n", "mean", "sd", "sd_pairs", "blank"]]


def rank_architectures(summary: pd.DataFrame, *, metric: str) -> pd.DataFrame:
    """Rank architectures by how stable their maps are, 1 = most stable, by method and role.

    Of one pairing of `over_seeds`: its rows of that metric with "rank" (float; average on ties, NaN
    where the mean is NaN). Similarities rank from the highest mean, changes and distances from the
    smallest absolute mean.

    Raises
    ------
    ValueError
        If the metric is unknown or absent, a column is missing, or an architecture occurs twice.
    """
    by = ["method", "role"]
    require_columns(summary, ["architecture", "metric", "mean", *by], "summary")
    rows = summary[summary["metric"] == metric].reset_index(drop=True)
    if metric not in METRICS or rows.empty:
        available = sorted(summary["metric"].unique())
        raise ValueError(f"metric: found {metric!r}; expected one of {METRICS} and {available}.")
    twice = rows.duplicated(["architecture", *by])
    if twice.any():
        found = rows.loc[twice, ["architecture", *by]].iloc[0].to_dict()
        raise ValueError(f"summary: found {found} twice; expected once: select one pairing.")
    drift = -rows["mean"] if metric in SIMILARITIES else rows["mean"].abs()
    groups = [rows[column] for column in by]
    return rows.assign(rank=drift.groupby(groups, observed=True, dropna=False).rank())


def drift_side_by_side(before: StudyPaths | None, after: StudyPaths | None) -> pd.DataFrame:
    """Put ``iou_top20`` of two finished studies side by side, e.g. without and with a remedy.

    By cell, the means ``before`` and ``after`` over the support in either study (not the same
    films), their ``change``, and the numbers of pairs and of blank ones. Cells that one study lacks
    are left out; without a study there are no rows. A table that is missing is an ArtefactError.
    """
    columns = TABLES["remedies_drift"].columns
    if before is None or after is None:
        return pd.DataFrame(columns=columns)
    both = _means(before).merge(_means(after), on=_BESIDE, suffixes=("_before", "_after"))
    both = both.rename(columns={"mean_before": "before", "mean_after": "after"})
    return both.assign(change=both["after"] - both["before"])[columns]


_BESIDE = ["architecture", "role", "method", "pairing"]


def _means(paths: StudyPaths) -> pd.DataFrame:
    file = paths.tables / "drift.csv"
    require(file)
    table = read_table(file)
    wanted = table["pairing"].isin(("placebo", "finetune", "finetune_seeds", "ceiling"))
    return table.loc[wanted & table["metric"].eq("iou_top20"), [*_BESIDE, "mean", "n", "blank"]]
