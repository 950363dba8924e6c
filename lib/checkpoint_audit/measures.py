"""The measures of an audit that a rule can be held against, each with its interval over patients.

All of them at one layer with one method, as a rule those of `findings.primary_cell`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lib.checkpoint_audit.findings import retained
from lib.checkpoint_audit.questions import CHECKPOINTS
from lib.inference.contrasts import clustered_mean, clustered_share
from lib.report.digest import PRIMARY

PRIOR_GRID = 32
"""Cells on a side at which priors are drawn for finer grids too: nobody waits for those."""
PRIOR_PAIRS = 4000
"""Pairs drawn for a prior: its mean is known to a few thousandths, and no verdict reads it."""


def measured(
    pairs: pd.DataFrame,
    predictions: pd.DataFrame,
    *,
    cell: Mapping[str, str],
    classes: Sequence[str],
) -> pd.DataFrame:
    """Retained evidence, blank maps and accuracy, over all films and by class.

    Parameters
    ----------
    pairs, predictions : DataFrame
        ``tables/pairs.csv`` and ``tables/predictions.csv`` of an audit.
    cell : mapping of str to str
        ``role`` and ``method``.
    classes : sequence of str
        Those that maps explain.

    Returns
    -------
    DataFrame
        ``measure`` (of a class: ``class_…``), ``label`` (the class, "" for all), ``estimate``,
        ``low``, ``high`` (95 %), ``films``. ``retained_evidence`` and ``blank_maps`` (share of the
        pairs of maps before → after) are of the common support; ``accuracy_loss`` (before less
        after) and ``accuracy`` (after; of a class, the share of its films that are named so) of all
        films.
    """
    pairs = pairs[pairs["role"].eq(cell["role"]) & pairs["method"].eq(cell["method"])]
    before, after = (
        predictions[predictions["checkpoint"] == name].set_index("image_id") for name in CHECKPOINTS
    )
    label, patients = after["label"], after["patient_id"]
    right = [table["label"] == table["predicted"] for table in (before, after)]
    rows = []

    def add(measure: str, of: str, found, films: int) -> None:
        rows.append([f"class_{measure}" if of else measure, of, *map(float, found), films])

    for name in ("", *classes):
        own = pairs if not name else pairs[pairs["image_id"].map(label) == name]
        change = own[(own["pairing"] == "change") & own["common"].astype(bool)]
        unmoved = retained(own, patients).query("metric == @PRIMARY") if len(own) else own
        found = unmoved.iloc[0][["estimate", "low", "high"]] if len(unmoved) else [np.nan] * 3
        add("retained_evidence", name, found, len(change))
        blank = change[PRIMARY].isna()
        share = clustered_share(blank, change["image_id"].map(patients))
        add("blank_maps", name, share, len(blank))
        own = label.eq(name) if name else label.notna()
        add("accuracy", name, clustered_share(right[1][own], patients[own]), int(own.sum()))
    add("accuracy_loss", "", _loss(*right, patients), len(label))
    return pd.DataFrame(rows, columns=["measure", "label", "estimate", "low", "high", "films"])


def _loss(before: pd.Series, after: pd.Series, patients: pd.Series) -> tuple[float, float, float]:
    """Accuracy before less after, with the interval of Bonett & Price (2012) for paired shares.

    It has a decision lost and one gained more than were seen, so that few films without a change
    are no proof that there is none.
    """
    loss = before.astype(float) - after.reindex(before.index)
    known = patients.reindex(before.index).tolist()
    added = pd.Series([*known, ("a", "decision"), ("and", "another")])
    _, low, high = clustered_mean(np.append(loss.to_numpy(), [1, -1]), added)
    return loss.mean(), low, high
