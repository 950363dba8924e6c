"""The answer of an audit in sentences, every number of them read from its tables."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lib.checkpoint_audit.tables import CHECKPOINTS, primary_cell
from lib.figures import style
from lib.report.digest import PRIMARY, drift_means
from lib.report.words import listed, span, title

_CONTROLS = {
    "explainer": "{} where the same checkpoint is explained twice",
    "ceiling": "{} between maps of different patients' films",
    "randomised": "{} where the weights are permuted",
}


def moved_sentence(retained: pd.DataFrame | None, cell: tuple[str, str]) -> str:
    """Whether the evidence moved, by where the interval of R lies; "" where R is not known.

    Parameters
    ----------
    retained : DataFrame or None
        ``role``, ``method``, ``metric``, ``estimate``, ``low``, ``high``.
    cell : tuple of str
        Role and method.
    """
    if retained is None:
        return ""
    row = retained.set_index(["metric", "role", "method"]).loc[(PRIMARY, *cell)]
    value, low, high = (float(row[key]) for key in ("estimate", "low", "high"))
    if not np.isfinite(value):
        return ""
    share = f"retained evidence R is {_number(value)}"
    if value >= 1:
        return f"No: {share}, where 1 is the same checkpoint explained twice."
    if not np.isfinite([low, high]).all():
        return f"It cannot be told: {share}, and the interval has no end."
    share += f" (95\u00a0% interval over patients {span(pd.Series([low, high]))})"
    scale = "where 1 is the same checkpoint explained twice and 0 are maps of unrelated films"
    if low <= 0 and high >= 1:
        said = "It cannot be told"
    elif low <= 0:
        said = "Yes, as far as can be seen"
    elif high >= 1:
        said = "Not as far as can be seen"
    else:
        said = "In part"
    return f"{said}: {share}, {scale}."


def overlap_sentence(
    drift: pd.DataFrame, support: pd.DataFrame, cell: tuple[str, str], pairing: str = "change"
) -> str:
    """Overlap of the strongest cells at one layer, with the controls beside it.

    Parameters
    ----------
    drift, support : DataFrame
        ``tables/drift.csv`` and ``tables/support.csv`` of an audit.
    cell : tuple of str
        Role and method.
    pairing : str
    """
    films, common = int(support["films"].sum()), int(support["common"].sum())
    where = f"On the {common} of {films} films that both checkpoints classify correctly"
    means = drift_means(drift).droplevel("architecture")
    own = means.loc[cell].dropna()
    if pairing not in own:
        return f"{where} no two maps could be compared."
    text = f"{where}, the strongest 20\u00a0% of the cells of a film's two maps overlap by "
    text += f"{_number(own[pairing])} (1 = the same places)"
    parts = [words.format(_number(own[name])) for name, words in _CONTROLS.items() if name in own]
    text += f", against {listed(parts)}." if parts else "."
    at = f"{title(style.METHOD, cell[1])} at {cell[0]}"
    return f"{text} That is {at}; over all layers and methods it is {span(means[pairing])}."


def _number(value: float) -> str:
    return span(pd.Series([value]))


def accuracy_sentence(performance: pd.DataFrame) -> str:
    """How accuracy and macro AUC changed.

    Parameters
    ----------
    performance : DataFrame
        ``checkpoint``, ``n``, ``accuracy``, ``macro_auc``.
    """
    rows = performance.set_index("checkpoint").loc[list(CHECKPOINTS)]
    parts = [
        f"{name} is {_number(before)} before and {_number(after)} after"
        for name, (before, after) in (
            ("accuracy", rows["accuracy"]), ("macro AUC", rows["macro_auc"])
        )
        if np.isfinite([before, after]).all()
    ]  # fmt: skip
    return f"On {int(rows['n'].iloc[0])} films {listed(parts)}." if parts else ""


def answer(tables: Mapping[str, pd.DataFrame], verdicts: Mapping | None = None) -> list[str]:
    """The sentences of the first screen: whether it moved, by how much, and accuracy.

    Parameters
    ----------
    tables : mapping of file name without ending to DataFrame
    verdicts : None
        An audit has none.
    """
    cell = primary_cell(tables["drift"])
    sentences = (
        moved_sentence(tables.get("retained"), cell),
        overlap_sentence(tables["drift"], tables["support"], cell),
        accuracy_sentence(tables["performance"]),
    )
    return [sentence for sentence in sentences if sentence]
