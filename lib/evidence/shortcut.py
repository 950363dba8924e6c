"""The experiment with a planted shortcut: evidence should move to the lesion when it is removed.

Transfer learns from films on which a marker betrays one class. Fine-tuning then goes on with these
films (the shortcut is kept) or with the same films and markers that tell nothing (it is removed).
All are explained on the same test films, on which the marker still betrays the class.
"""

from collections.abc import Sequence

import pandas as pd

from lib.drift.metrics import QUICK, SIMILARITIES
from lib.evidence.changes import MARKER
from lib.inference.contrasts import clustered_mean

PAIRINGS = {"corrected": "shortcut_removed", "finetune": "shortcut_kept"}
"""Pairings of a study, and what they are in this experiment."""


def shortcut_pairs(change: pd.DataFrame, *, label: str) -> pd.DataFrame:
    """Gain of lesion evidence, film by film, where the shortcut was removed and where it was kept.

    All test films of the betrayed class count, whether classified correctly or not: without the
    shortcut decisions are meant to change, and a choice by them would be a choice by the outcome.

    Parameters
    ----------
    change : DataFrame
        Of `lib.evidence.changes.changes_of_study`.
    label : str
        The class that the marker betrays.

    Returns
    -------
    DataFrame
        A row per film, architecture, method, role and pair of checkpoints, laid out as
        ``tables/pairs.csv``: ``architecture``, ``method``, ``role``, ``pairing``
        ("shortcut_removed", "shortcut_kept"), ``before``, ``after``, ``image_id``, ``partner_id``
        (the same film), ``common`` (true), ``patient_id``, ``lesion_gain`` in [−1, 1] (relevance
        mass in the lesion after minus before, NaN where a map is blank).

    Raises
    ------
    ValueError
        If a pairing is missing or the class has no film with a lesion.
    """
    rows = change[(change["label"] == label) & change["lesion_area"].notna()]
    for pairing in PAIRINGS:
        if not (rows["pairing"] == pairing).any():
            raise ValueError(
                f"change: found no pair {pairing!r} of films of {label!r} with a lesion; expected "
                "a study with a planted shortcut (data.phantom.shortcut) of a class with a lesion."
            )
    rows = rows[rows["pairing"].isin(PAIRINGS)]
    names = ["architecture", "method", "role", "pairing", "before", "after", "image_id"]
    table = rows[names].assign(
        pairing=rows["pairing"].map(PAIRINGS),
        partner_id=rows["image_id"],
        common=True,
        patient_id=rows["patient_id"],
        lesion_gain=rows["lesion_mass_change"],
    )
    return table.reset_index(drop=True)


def correction(
    pairs: pd.DataFrame,
    change: pd.DataFrame,
    *,
    label: str,
    metrics: Sequence[str] = QUICK,
    level: float = 0.95,
) -> pd.DataFrame:
    """What each measure says about taking the shortcut away, beside keeping it.

    A drift metric knows no reference: where it reports more drift for the correction, it would call
    the better model the less stable one. Known evidence has a direction, and can tell that the map
    moved to the lesion, or away from the marker.

    Parameters
    ----------
    pairs : DataFrame
        ``tables/pairs.csv`` of a study with a planted shortcut.
    change : DataFrame
        Of `lib.evidence.changes.changes_of_study`, with the markers.
    label : str
        The class that the marker betrays; its test films count, however they are classified.
    metrics : sequence of str
        Columns of `pairs`.
    level : float in (0, 1)
        Of the interval over patients; it does not contain the spread of training seeds.

    Returns
    -------
    DataFrame
        A row per architecture, role, method and measure: these, ``kind`` ("drift" or "evidence"),
        ``removed`` and ``kept`` (means over films and seeds; drift as 1 − S of a similarity and as
        the size of a change of concentration, evidence as after minus before), ``difference``
        (removed − kept, over films that have both), ``low``, ``high``, ``n`` and ``patients``, and
        ``finding``: for drift "calls the correction instability" where the interval lies above 0,
        "prefers the correction" where it lies below; for evidence "gains" or "loses"; otherwise
        "cannot tell".

    Raises
    ------
    ValueError
        If no film of the class has both pairings.
    """
    keys = ["architecture", "role", "method", "image_id", "seed"]
    drift = _drifts(pairs, metrics)
    evidence = {f"{name}_change": name for name in ("lesion_mass", MARKER)}
    known = change[change["label"] == label].rename(columns=evidence)
    wide = known[["pairing", "before", "after", *keys[:-1], "patient_id", *evidence.values()]]
    wide = wide.merge(drift, on=["pairing", "before", "after", *keys[:-1]])
    wide = wide.assign(seed=wide["after"].str.rsplit("-s", n=1).str[1])
    sides = [
        wide[wide["pairing"] == name].set_index(keys).drop(columns=["pairing", "before", "after"])
        for name in PAIRINGS
    ]
    both = sides[0].merge(
        sides[1].drop(columns="patient_id"), left_index=True, right_index=True,
        suffixes=("", "_kept"),
    )  # fmt: skip
    if both.empty:
        raise ValueError(
            f"pairs, change: found no film of {label!r} with both fine-tunings; expected the "
            "tables of a study with a planted shortcut (data.phantom.shortcut) of that class."
        )
    rows = []
    for cell, part in both.groupby(keys[:3], sort=False, observed=True):
        for measure in (*metrics, *evidence.values()):
            kind = "evidence" if measure in evidence.values() else "drift"
            scored = part.dropna(subset=[measure, f"{measure}_kept"])
            removed, kept = scored[measure], scored[f"{measure}_kept"]
            patients = scored["patient_id"]
            mean, low, high = clustered_mean((removed - kept).to_numpy(), patients, level)
            rows.append(
                dict(zip(keys[:3], cell, strict=True))
                | {"measure": measure, "kind": kind}
                | {"removed": removed.mean(), "kept": kept.mean(), "difference": mean}
                | {"low": low, "high": high, "n": len(scored), "patients": patients.nunique()}
                | {"finding": _finding(kind, low, high)}
            )
    return pd.DataFrame(rows)


def _drifts(pairs: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    values = {
        name: 1 - pairs[name] if name in SIMILARITIES else pairs[name].abs() for name in metrics
    }
    names = ["architecture", "pairing", "before", "after", "role", "method", "image_id"]
    return pairs[names].assign(**values)


def _finding(kind: str, low: float, high: float) -> str:
    words = {
        "drift": ("calls the correction instability", "prefers the correction"),
        "evidence": ("gains", "loses"),
    }[kind]
    return words[0] if low > 0 else words[1] if high < 0 else "cannot tell"
