"""The experiment with a planted shortcut: evidence should move to the lesion when it is removed.

Transfer learns from films on which a marker betrays one class. Fine-tuning then goes on with these
films (the shortcut is kept) or with the same films and markers that tell nothing (it is removed).
All are explained on the same test films, on which the marker still betrays the class.
"""

import pandas as pd

PAIRINGS = {"corrected": "shortcut_removed", "finetune": "shortcut_kept"}
"""Pairings of a study, and what they are in this experiment."""


def shortcut_pairs(change: pd.DataFrame, *, label: str) -> pd.DataFrame:
    """Gain of lesion evidence, film by film, where the shortcut was removed and where it was kept.

    All test films of the betrayed class count, whether classified correctly or not: without the
    shortcut decisions are meant to change, and a choice by them would be a choice by the outcome.

    Parameters
    ----------
    change : DataFrame
        Of `lib.evidence_tables.changes_of_study`.
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
