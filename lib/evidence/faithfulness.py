"""Which methods explain what a prediction rests on, and which do so no better than chance.

A map that is no more faithful than a random one may drift or stay: neither says anything about
the evidence of the network, and so it is marked wherever its drift is shown.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from lib.evidence.changes import mean_of
from lib.study.artefacts import read_table
from lib.study.names import METHOD_TITLES, label
from lib.study.paths import StudyPaths
from lib.study.schema import TABLES

MORE, NOT_SHOWN, UNKNOWN = "more than random", "not shown", "unknown"
MARK = "†"
"""Stands beside the drift of maps that are `NOT_SHOWN` to be more faithful than random ones."""
NOTE = f"{MARK}: maps that are not shown to be more faithful than random ones."
_AREAS = ["deletion", "insertion", "deletion_random", "insertion_random"]
Cell = tuple[str, str, str]


def table_of(curves: pd.DataFrame, patients: Mapping[str, str]) -> pd.DataFrame:
    """Faithfulness of every kind of map, against random maps of the same films.

    Parameters
    ----------
    curves : DataFrame
        Of `lib.attribution.faithfulness.curves`, with ``architecture`` and ``checkpoint``.

    Returns
    -------
    DataFrame
        A row per architecture, checkpoint, role and method: ``films``, ``patients``, ``blank``, the
        mean areas, ``excess`` with its 95 % interval over patients, and ``finding``. The excess is
        insertion less deletion, minus the same of random maps, in [−2, 2]: 0 for a random map.
        `MORE` if its interval lies above 0, `UNKNOWN` below two patients, else `NOT_SHOWN`.
    """
    rows, by = [], ["architecture", "checkpoint", "role", "method"]
    for cell, part in curves.groupby(by, sort=False):
        gain = part["insertion"] - part["deletion"]
        excess = gain - (part["insertion_random"] - part["deletion_random"])
        found = mean_of(excess, part["image_id"].map(patients))
        more = MORE if found["low"] > 0 else NOT_SHOWN
        rows.append(
            dict(zip(by, cell, strict=True)) | found | part[_AREAS].mean().to_dict()
            | {"films": found["n"], "blank": excess.isna().sum(), "excess": found["mean"],
               "finding": UNKNOWN if found["patients"] < 2 else more}
        )  # fmt: skip
    return pd.DataFrame(rows, columns=TABLES["faithfulness"].columns)


def of_study(
    paths: StudyPaths, architectures: Sequence[str], checkpoints: Sequence[str], patients
) -> pd.DataFrame:
    """`table_of` the checkpoints that were asked; without a row where none was.

    Parameters
    ----------
    paths : StudyPaths
    architectures, checkpoints : sequence of str
        Where to look for curves.
    patients : mapping of str to str
        Patient by image id.
    """
    parts = [
        read_table(file).assign(architecture=architecture, checkpoint=checkpoint)
        for architecture in architectures
        for checkpoint in checkpoints
        if (file := paths.faithfulness(architecture, checkpoint)).exists()
    ]
    if not parts:
        return pd.DataFrame(columns=TABLES["faithfulness"].columns)
    return table_of(pd.concat(parts, ignore_index=True), patients)


def unfaithful(table: pd.DataFrame) -> set[Cell]:
    """Architecture, role and method of maps that are `NOT_SHOWN` to be so at a checkpoint."""
    rows = table[table["finding"] == NOT_SHOWN]
    return set(rows[["architecture", "role", "method"]].itertuples(index=False, name=None))


def sentences(table: pd.DataFrame) -> list[str]:
    """Whose drift is marked, a sentence per architecture."""
    marked, found = unfaithful(table), []
    kinds = table[["architecture", "role", "method"]].drop_duplicates()
    for architecture, own in kinds.groupby("architecture", sort=False):
        cells = own.itertuples(index=False, name=None)
        names = [f"{METHOD_TITLES[cell[2]]} at {cell[1]}" for cell in cells if cell in marked]
        found.append(
            f"{label(architecture)}: {len(names)} of {len(own)} kinds of maps are not shown to be "
            "more faithful than random maps at both checkpoints"
            f"{f' ({MARK}): ' + '; '.join(names) if names else ''}."
        )
    return found
