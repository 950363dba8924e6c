"""The tables of an audit of two checkpoints that no study has in this form."""

from collections.abc import Mapping, Sequence

import pandas as pd

from lib.attribution.maps import MapSet
from lib.hypotheses.estimates import retained_table
from lib.hypotheses.observations import Observations
from lib.models import performance

CHECKPOINTS = ("before", "after")


def primary_cell(table: pd.DataFrame) -> tuple[str, str]:
    """Role and method that an audit speaks of first: the deepest layer, the first method.

    Parameters
    ----------
    table : DataFrame
        ``role`` and ``method`` in the order in which they were explained.
    """
    return str(table["role"].iloc[-1]), str(table["method"].iloc[0])


def prediction_tables(
    sets: Mapping[str, MapSet], manifest: pd.DataFrame, *, architecture: str, classes: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """What both checkpoints predict: film by film, how good it is, and what is taken for what.

    Returns
    -------
    predictions, scores, confusion : DataFrame
        As `models.performance.prediction_table` and `by_split`, and a row per true and predicted
        class; each with the columns ``architecture`` and ``checkpoint``.
    """
    predictions, scores, confusion = [], [], []
    for name in CHECKPOINTS:
        found = sets[name]
        names = {"architecture": architecture, "checkpoint": name}
        table = performance.prediction_table(manifest, found.logits, classes=classes)
        predictions.append(table.assign(**names))
        scores.append(performance.by_split(table, classes=classes).assign(**names))
        counts = performance.confusion(found.logits, found.label, classes=classes)
        confusion.append(performance.confusion_rows(counts).assign(**names))
    return tuple(pd.concat(parts, ignore_index=True) for parts in (predictions, scores, confusion))


def retained(pairs: pd.DataFrame, patients: pd.Series) -> pd.DataFrame:
    """Retained evidence of the change, 1 = as when explained twice, 0 = as unrelated films.

    Parameters
    ----------
    pairs : DataFrame
        ``tables/pairs.csv`` of the audit.
    patients : Series
        Patient by image id.

    Returns
    -------
    DataFrame
        As `hypotheses.estimates.retained_table`. Intervals are over patients: there is one pair of
        checkpoints, and nothing is said about other trainings.
    """
    known = pairs.assign(before=pairs["before"] + "-s0", after=pairs["after"] + "-s0")
    return retained_table(
        Observations.from_tables(known, patients),
        metrics=("iou_top20", "soft_iou", "pearson"),
        pairings=("change", "explainer", "ceiling"),
    )
