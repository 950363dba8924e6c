"""Which maps a report marks, in tables and in words: no better than random ones, or mostly blank.

Whether a map is blank too often is judged as in the verdicts: by the pairs before and after
fine-tuning of the films that count.
"""

from collections.abc import Mapping

import pandas as pd

from lib.evidence.faithfulness import MARK, NOTE, unfaithful
from lib.hypotheses.answers import BLANK_SHARE
from lib.report.digest import PRIMARY
from lib.report.phrases import CELL, LAYERS, listed, percent
from lib.study.names import label

UNDEFINED = "∅"
"""Stands beside the numbers of a method that is blank for too many pairs: it is undefined there."""
NOTES = {
    MARK: NOTE,
    UNDEFINED: f"{UNDEFINED}: undefined, as more than {percent([BLANK_SHARE])} of the pairs of "
    "maps are blank.",
}
_KEYS = ["architecture", "role", "method"]
Cell = tuple[str, str, str]


def without_maps(tables: Mapping[str, pd.DataFrame]) -> dict[Cell, str]:
    """Methods that are undefined at a layer of a network: "26 of 66 pairs of maps are blank"."""
    drift = tables.get("drift")
    if drift is None:
        return {}
    rows = drift[drift["metric"].eq(PRIMARY) & drift["pairing"].eq("finetune")]
    rows = rows[rows["blank"] > BLANK_SHARE * (rows["n"] + rows["blank"])]
    return {
        (row.architecture, row.role, row.method): f"{row.blank:.0f} of {row.n + row.blank:.0f} "
        "pairs of maps are blank"
        for row in rows.itertuples()
    }


def marked(tables: Mapping[str, pd.DataFrame]) -> set[Cell]:
    """Maps that are not shown to be more faithful than random ones, where that was asked."""
    faithful = tables.get("faithfulness")
    return set() if faithful is None else unfaithful(faithful)


def signs(tables: Mapping[str, pd.DataFrame]) -> dict[str, set[Cell]]:
    """Sign of each mark, and the architecture, role and method of the maps that have it."""
    return {MARK: marked(tables), UNDEFINED: set(without_maps(tables))}


def with_signs(
    caption: str, frame: pd.DataFrame, signs: Mapping[str, set[Cell]]
) -> tuple[str, pd.DataFrame]:
    """A table of drift with a column of marks, if there are any, and a caption that explains them.

    A table without ``role`` and ``method`` is of the maps of `CELL`.
    """
    rows = frame.assign(**{key: value for key, value in CELL.items() if key not in frame})
    cells = list(zip(*(rows[key] for key in _KEYS), strict=True))
    told = [" ".join(sign for sign, of in signs.items() if cell in of) for cell in cells]
    notes = [NOTES[sign] for sign in signs if any(sign in text for text in told)]
    if not notes:
        return caption, frame
    return " ".join([caption, *notes]), frame.assign(mark=told)


def undefined_sentence(tables: Mapping[str, pd.DataFrame], most: int = 3) -> str:
    """Where methods are undefined, and what became of their maps; "" where none is."""
    found, kinds = without_maps(tables), _became(tables.get("transitions"))
    if not found:
        return ""
    parts = [
        f"{label(cell[0], cell[2])} at {LAYERS.get(cell[1], cell[1])} ({why}{kinds.get(cell, '')})"
        for cell, why in list(found.items())[:most]
    ]
    if len(found) > most:
        parts.append(f"{len(found) - most} more, which have {UNDEFINED} in the tables of drift")
    limit = percent([BLANK_SHARE])
    return (
        f"A method that is blank for more than {limit} of the pairs is undefined there, so nothing "
        f"is said of its drift: {listed(parts)}."
    )


def _became(transitions: pd.DataFrame | None) -> dict[Cell, str]:
    """What became of the maps of all test films in fine-tuning, by cell."""
    if transitions is None:
        return {}
    rows = transitions[transitions["pairing"] == "finetune"].groupby(_KEYS)
    counts = rows[["films", "vanished", "appeared", "blank"]].sum()
    shares = counts.div(counts["films"], axis=0)
    return {
        cell: f"; over all test films {percent([row['vanished']])} vanished, "
        f"{percent([row['appeared']])} appeared and {percent([row['blank']])} were blank before "
        "and after"
        for cell, row in shares.iterrows()
    }


def faithful_sentence(tables: Mapping[str, pd.DataFrame]) -> str:
    """Whose maps of `CELL` are not shown to be faithful; "" where all are, or none was asked."""
    names = [label(name) for name, *panel in sorted(marked(tables)) if panel == list(CELL.values())]
    if not names:
        return ""
    return f"The maps of {listed(names)} are not shown to be more faithful than random ones."
