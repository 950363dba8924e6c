"""Does a network use the planted marker? It is taken away where it was, and put where it was not.

A shortcut experiment has something to correct only if the network that it starts from decides by
the shortcut: its answer for the betrayed class must fall without the marker, or rise with it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lib.attribution.marker import asked
from lib.evidence.changes import mean_of
from lib.study.artefacts import read_table
from lib.study.names import label
from lib.study.paths import StudyPaths
from lib.study.schema import TABLES

AWAY, PUT = "taken away", "put on"
"""What is done to the marker: on films of the betrayed class, and on films of the others."""


def of_study(
    paths: StudyPaths, architectures: Sequence[str], checkpoints: Sequence[str],
    manifest: pd.DataFrame, *, betrayed: str,
) -> pd.DataFrame:  # fmt: skip
    """`table_of` the checkpoints that were asked.

    Parameters
    ----------
    paths : StudyPaths
    architectures, checkpoints : sequence of str
        Of the checkpoints those that `asked` names are read.
    manifest : DataFrame
        Films with ``image_id``, ``patient_id`` and ``label``.
    betrayed : str
        The class that the marker betrays.

    Raises
    ------
    ArtefactError
        If the table of such a checkpoint is missing.
    """
    parts = [
        read_table(paths.marker_use(architecture, checkpoint)).assign(
            architecture=architecture, stage=checkpoint.rpartition("-s")[0]
        )
        for architecture in architectures
        for checkpoint in checkpoints
        if asked(checkpoint)
    ]
    films = manifest.set_index("image_id")
    return table_of(
        pd.concat(parts, ignore_index=True),
        patients=films["patient_id"], labels=films["label"], betrayed=betrayed,
    )  # fmt: skip


def table_of(
    told: pd.DataFrame, *, patients: Mapping[str, str], labels: Mapping[str, str], betrayed: str
) -> pd.DataFrame:
    """How much the probability of the betrayed class hangs on the marker.

    Parameters
    ----------
    told : DataFrame
        Of `lib.attribution.marker.answers`, with ``architecture`` and ``stage``; a row per film and
        seed.

    Returns
    -------
    DataFrame
        A row per architecture, stage and ``marker`` (`AWAY` or `PUT`): ``films``, ``patients``, the
        mean probabilities ``shown`` and ``altered``, and their ``difference`` (altered − shown)
        with its 95 % interval over patients; seeds are averaged first.
    """
    rows, by = [], ["architecture", "stage", "marker"]
    own = told["image_id"].map(labels) == betrayed
    told = told.assign(marker=np.where(own, AWAY, PUT))
    means = told.groupby([*by, "image_id"], sort=False, as_index=False)[["shown", "altered"]].mean()
    for cell, part in means.groupby(by, sort=False):
        change = mean_of(part["altered"] - part["shown"], part["image_id"].map(patients))
        rows.append(
            dict(zip(by, cell, strict=True))
            | part[["shown", "altered"]].mean().to_dict()
            | change
            | {"films": change["n"], "difference": change["mean"]}
        )
    return pd.DataFrame(rows, columns=TABLES["marker_use"].columns)


def sentences(table: pd.DataFrame, *, stage: str = "transfer") -> list[str]:
    """Whether each network of a stage uses the marker."""
    done = {AWAY: "without its marker", PUT: "with the marker put on others"}
    found = []
    for architecture, part in table[table["stage"] == stage].groupby("architecture", sort=False):
        rows = part.set_index("marker")
        clauses = [
            f"{done[name]} the probability of the class goes from {row['shown']:.2f} to "
            f"{row['altered']:.2f} ({row['films']:.0f} films)"
            for name, row in rows.loc[[name for name in done if name in rows.index]].iterrows()
        ]
        uses = (rows["high"].get(AWAY, np.nan) < 0) or (rows["low"].get(PUT, np.nan) > 0)
        does = "uses the marker" if uses else "is not shown to use the marker"
        found.append(f"{label(architecture)} {does}: {'; '.join(clauses)}.")
    return found
