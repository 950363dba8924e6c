"""Does drift go with a change of confidence? Then it may be nothing but that."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lib.attribution.maps import MapSet
from lib.evidence.changes import PAIR
from lib.evidence.validity import metric_validity
from lib.models.performance import true_probability
from lib.study.schema import TABLES

TARGETS = ("logit", "probability")
"""Of the true class: what was explained, and what a reader is told."""
METRICS = ("unit_distance", "soft_iou", "iou_top20")


def confidence_changes(
    pairs: pd.DataFrame, sets: Mapping[str, Mapping[str, MapSet]], patients: pd.Series
) -> pd.DataFrame:
    """Change of logit and probability of the true class, for every pair of maps of one film.

    Columns are `lib.evidence.changes.PAIR`, ``patient_id``, ``logit_change`` and
    ``probability_change``, after less before; `patients` is by image id.
    """
    keys = ["architecture", "before", "after"]
    parts = []
    for architecture, before, after in pairs[keys].drop_duplicates().itertuples(index=False):
        first, second = (sets[architecture][name] for name in (before, after))
        own = np.arange(len(first.label)), first.label
        early, late = (true_probability(maps.logits, maps.label) for maps in (first, second))
        facts = {
            "architecture": architecture, "before": before, "after": after,
            "image_id": first.image_id, "logit_change": second.logits[own] - first.logits[own],
            "probability_change": late - early,
        }  # fmt: skip
        parts.append(pd.DataFrame(facts))
    changes = pairs[PAIR].merge(pd.concat(parts), on=[*keys, "image_id"])
    return changes.assign(patient_id=changes["image_id"].map(patients))


def confidence_table(
    pairs: pd.DataFrame, sets: Mapping[str, Mapping[str, MapSet]], patients: pd.Series, *,
    seed: int, resamples: int = 2000,
) -> pd.DataFrame:  # fmt: skip
    """Rank correlation of drift with the change of confidence, over films.

    Parameters
    ----------
    pairs : DataFrame
        ``tables/pairs.csv``.
    sets : mapping of architecture to mapping of checkpoint to MapSet
    patients : Series
        Patient by image id.
    seed, resamples : int
        Of the bootstrap, as in `lib.evidence.validity.metric_validity`.

    Returns
    -------
    DataFrame
        As `lib.evidence.validity.metric_validity`, with ``target``, one of `TARGETS`: ρ with the
        size of its change and with the signed change. No row without pairs.
    """
    if pairs.empty:
        return pd.DataFrame(columns=TABLES["confidence"].columns)
    changes = confidence_changes(pairs, sets, patients)
    tables = [
        metric_validity(
            pairs, changes, seed=seed, metrics=METRICS, resamples=resamples,
            target=f"{target}_change",
        ).assign(target=target)
        for target in TARGETS
    ]  # fmt: skip
    return pd.concat(tables, ignore_index=True)[TABLES["confidence"].columns]
