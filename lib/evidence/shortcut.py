"""The experiment with a planted shortcut: evidence should move to the lesion when it is removed.

Transfer learns from films on which a marker betrays one class. Fine-tuning then goes on with these
films (the shortcut is kept) or with the same films and markers that tell nothing (it is removed).
All are explained on the same test films, on which the marker still betrays the class.
"""

from collections.abc import Sequence

import pandas as pd

from lib.drift.metrics import QUICK, SIMILARITIES
from lib.evidence.changes import MARKER, lesion_gains, mean_of
from lib.evidence.validity import with_change
from lib.study.schema import TABLES

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
        As `lib.evidence.changes.lesion_gains`, with ``pairing`` "shortcut_removed" or
        "shortcut_kept", and ``common`` and ``own`` true.

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
    rows = rows[rows["pairing"].isin(PAIRINGS)].assign(common=True, own=True)
    table = lesion_gains(rows)
    return table.assign(pairing=table["pairing"].map(PAIRINGS))


def correction(
    pairs: pd.DataFrame, change: pd.DataFrame, *, label: str, metrics: Sequence[str] = QUICK
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
        Drift metrics, of `lib.drift.metrics.METRICS`.

    Returns
    -------
    DataFrame
        A row per architecture, role, method and measure: these, ``kind`` ("drift" or "evidence"),
        ``removed`` and ``kept`` (means over films and seeds; drift as 1 − S of a similarity and as
        the size of a change of concentration, evidence as after minus before), ``difference``
        (removed − kept, over films that have both), ``low``, ``high``, ``n`` and ``patients``, and
        ``finding``: for drift "calls the correction instability" where the interval lies above 0,
        "prefers the correction" where it lies below; for evidence "gains" or "loses"; otherwise
        "cannot tell". The 95 % interval holds over patients; it does not contain the spread of
        training seeds.

    Raises
    ------
    ValueError
        As `lib.evidence.validity.with_change`, or if no film of the class has both fine-tunings.
    """
    removed, kept = _sides(with_change(pairs, change[change["label"] == label]), metrics)
    if removed.empty:
        raise ValueError(
            f"pairs, change: found no film of {label!r} with both fine-tunings; expected the "
            "tables of a study with a planted shortcut (data.phantom.shortcut) of that class."
        )
    rows = []
    for cell, part in removed.groupby(level=_CELL, sort=False, observed=True):
        for measure in (*metrics, *_EVIDENCE):
            kind = "drift" if measure in metrics else "evidence"
            other = kept.loc[part.index, measure]
            difference = part[measure] - other
            both = difference.notna()
            found = mean_of(difference, part["patient_id"])
            rows.append(
                dict(zip(_CELL, cell, strict=True))
                | {"measure": measure.removesuffix("_change") if kind == "evidence" else measure}
                | {"kind": kind, "removed": part.loc[both, measure].mean()}
                | {"kept": other[both].mean(), "difference": found["mean"], **found}
                | {"finding": _finding(kind, found["low"], found["high"])}
            )
    return pd.DataFrame(rows)[TABLES["correction"].columns]


_CELL = ["architecture", "role", "method"]
_EVIDENCE = ("lesion_mass_change", f"{MARKER}_change")


def _sides(joined: pd.DataFrame, metrics: Sequence[str]) -> list[pd.DataFrame]:
    """Drift and evidence where the shortcut was removed and where it was kept, row by row alike."""
    drift = {
        name: 1 - joined[name] if name in SIMILARITIES else joined[name].abs() for name in metrics
    }
    seeds = joined["after"].str.rsplit("-s", n=1).str[1]
    table = joined.assign(**drift, seed=seeds).set_index([*_CELL, "image_id", "seed"])
    sides = [table[table["pairing"] == name] for name in PAIRINGS]
    both = sides[0].index.intersection(sides[1].index, sort=False)
    return [side.loc[both] for side in sides]


def _finding(kind: str, low: float, high: float) -> str:
    above, below = "gains", "loses"
    if kind == "drift":
        above, below = "calls the correction instability", "prefers the correction"
    return above if low > 0 else below if high < 0 else "cannot tell"
