"""The tables of a report: what is shown of each, with names for readers and numbers to sort by."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.drift.metrics import METRICS, metric_label
from lib.evidence.faithfulness import MARK, unfaithful
from lib.report.digest import PRIMARY, drift_means
from lib.study import names

_NAMES = {
    "architecture": names.ARCHITECTURE_TITLES,
    "method": names.METHOD_TITLES,
    "pairing": names.PAIRING_TITLES,
    "metric": {metric: metric_label(metric) for metric in METRICS},
}
_CELL = ["architecture", "role", "method"]
_HEADS = {
    "role": "layer", "n": "pairs", "macro_auc": "macro AUC", "balanced_accuracy": "balanced acc.",
    "low": "low", "high": "high", "sd_pairs": "sd over runs", "finetune": "fine-tuned",
    "finetune_seeds": "two seeds", "transfer_seeds": "two transfers", "common": "of every network",
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """A cell of a shown table.

    Attributes
    ----------
    text : str
        As shown; "–" for a missing number.
    value : str
        What is sorted by and downloaded: the number in full, or the text.
    """

    text: str
    value: str
    number: bool


@dataclass(frozen=True)
class Table:
    """A table that a page shows, sorts and offers as CSV.

    Attributes
    ----------
    name : str
        Of the file that is downloaded, and of the place in the page.
    columns : tuple of str
        Names in the file.
    heads : tuple of str
        Names as shown.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def shown(name: str, caption: str, frame: pd.DataFrame, *, decimals: int = 3) -> Table:
    """Make a table of a data frame.

    Parameters
    ----------
    frame : DataFrame
        Floats are shown with `decimals` decimals, whole numbers as they are.
    """
    columns = [
        [_cell(column, value, decimals) for value in frame[column]] for column in frame.columns
    ]
    heads = tuple(_HEADS.get(str(c), str(c).replace("_", " ")) for c in frame.columns)
    rows = tuple(zip(*columns, strict=True))
    return Table(name, caption, tuple(map(str, frame.columns)), heads, rows)


def _cell(column: str, value, decimals: int) -> Cell:
    if isinstance(value, bool | np.bool_):
        return Cell("yes" if value else "no", str(bool(value)), False)
    if isinstance(value, int | float | np.number):
        if not np.isfinite(value):
            return Cell("–", "", True)
        if float(value).is_integer() and isinstance(value, int | np.integer):
            return Cell(str(value), str(value), True)
        text = f"{value:.{decimals}f}"
        text = text.replace("-", "" if float(text) == 0 else "−")
        return Cell(text, f"{value:.6g}", True)
    return Cell(_NAMES.get(column, {}).get(str(value), str(value)), str(value), False)


def study_tables(tables: Mapping[str, pd.DataFrame]) -> dict[str, Table]:
    """What a report shows of a study's tables; a table that is not there is left out.

    Returns
    -------
    dict of str to Table
    """
    makers = {
        "performance": _performance, "support": _support, "metrics": _metrics,
        "strata": _strata, "retained": _retained, "blanks": _blanks, "priors": _priors,
        "decomposition": _decomposition, "partial_agreement": _agreement,
        "drift": lambda table: _drift(table, tables.get("faithfulness")),
        "faithfulness": _faithfulness, "evidence_change": _evidence,
        "correction": _correction, "sensitivity": _sensitivity,
    }  # fmt: skip
    sources = {"metrics": "drift"}
    found = {
        name: make(tables[source])
        for name, make in makers.items()
        if (source := sources.get(name, name)) in tables and len(tables[source])
    }
    return {name: table for name, table in found.items() if table.rows}


def _performance(table: pd.DataFrame) -> Table:
    rows = table.query("split == 'test'").drop(columns="split").rename(columns={"n": "films"})
    return shown("performance", "Test films, by checkpoint.", rows)


def _support(table: pd.DataFrame) -> Table:
    return shown(
        "support",
        "Test films by class, those of them that every checkpoint of every network classifies "
        "correctly, and those that every checkpoint of one network does, which are compared.",
        table.rename(columns=names.ARCHITECTURE_TITLES),
    )


def _wide(table: pd.DataFrame) -> pd.DataFrame:
    wide = drift_means(table)
    tuned = table[(table["metric"] == PRIMARY) & (table["pairing"] == _main_pairing(table))]
    counts = tuned.set_index(wide.index.names)[["n", "blank"]]
    return wide.join(counts.reindex(wide.index)).reset_index()


def _main_pairing(table: pd.DataFrame) -> str:
    found = list(dict.fromkeys(table["pairing"]))
    return "finetune" if "finetune" in found else found[0]


def _drift(table: pd.DataFrame, faithful: pd.DataFrame | None) -> Table:
    rows, note = _wide(table), ""
    if faithful is not None and len(faithful):
        marked, keys = unfaithful(faithful), zip(*(rows[key] for key in _CELL), strict=True)
        rows["random"] = [MARK if key in marked else "" for key in keys]
        note = f" {MARK}: maps that are not shown to be more faithful than random ones."
    return shown(
        "drift",
        "Overlap of the strongest 20 % of cells, mean over the films that count, every class "
        "alike; 1 = the same places, 0 = none in common. Pairs and blank count the pairs of maps "
        "before and after fine-tuning, over all seeds: scored, and not scored because a map is "
        f"blank.{note}",
        rows,
    )


def _faithfulness(table: pd.DataFrame) -> Table:
    columns = [*_CELL, "checkpoint", "films", "excess", "low", "high", "finding"]
    return shown(
        "faithfulness",
        "Do the maps tell what the prediction rests on? Area between the insertion and the "
        "deletion curve, in excess of random maps of the same films, with 95 % intervals over "
        "patients; 0 = no better than random.",
        table[columns],
    )


def _strata(table: pd.DataFrame) -> Table | None:
    return shown(
        "kept_correct",
        "The same over the films that the architecture classifies correctly at both checkpoints: "
        "more films, but not the same ones for every architecture and pairing.",
        _wide(table.query("stratum == 'kept-correct'")),
    )


def _metrics(table: pd.DataFrame) -> Table:
    rows = table[table["pairing"] == _main_pairing(table)]
    wide = rows.pivot_table(
        index=["architecture", "role", "method"], columns="metric", values="mean", sort=False,
        dropna=False,
    )  # fmt: skip
    return shown(
        "metrics",
        "All drift metrics before → after fine-tuning, mean over the films that count.",
        wide.reset_index(),
    )


def _retained(table: pd.DataFrame) -> Table:
    columns = ["architecture", "role", "method", "estimate", "low", "high", "films", "seed_level"]
    rows = table[table["metric"] == PRIMARY][columns]
    return shown(
        "retained",
        "Retained evidence R with 95 % intervals: 1 = no more drift than the placebo, "
        "0 = as different as maps of unrelated films.",
        rows,
    )


def _pooled(table: pd.DataFrame, column: str, names: Mapping[str, str]) -> pd.DataFrame:
    """Rows of the pooled map, with words for what is estimated."""
    rows = table[(table["role"] == "post_activation") & table[column].isin(names)]
    columns = ["architecture", "method", column, "estimate", "low", "high", "films", "seeds"]
    return rows[columns].replace({column: dict(names)})


def _decomposition(table: pd.DataFrame) -> Table:
    names = {
        "way_to_unrelated": "way to unrelated films", "systematic_share": "shared by all seeds",
    }  # fmt: skip
    return shown(
        "decomposition",
        "How far fine-tuning moved the maps at the pooled map, between the placebo (0) and maps of "
        "unrelated films (1), and which share of that drift all seeds have in common; 95 % "
        "intervals, over the films that every checkpoint of the architecture classifies correctly, "
        "every class alike.",
        _pooled(table, "part", names),
    )


def _agreement(table: pd.DataFrame) -> Table:
    names = {"partial": "same film", "partial_other": "another film of the class"}
    return shown(
        "partial_agreement",
        "Agreement of two fine-tunings at the pooled map once the transfer checkpoint is taken out "
        "of both: the correlation that is left, 0 = none, 1 = all; 95 % intervals.",
        _pooled(table, "measure", names),
    )


def _blanks(table: pd.DataFrame) -> Table:
    keys = ["architecture", "checkpoint", "role", "method"]
    films = table.drop_duplicates([*keys, "label"]).groupby(keys, sort=False)["n"].sum()
    counts = table.groupby(keys, sort=False)["blank"].sum()
    rows = pd.DataFrame({"maps": films, "blank": counts, "share": counts / films})
    some = rows[rows["blank"] > 0].sort_values("share", ascending=False, kind="stable")
    return shown(
        "blanks",
        "Blank maps (zero everywhere, constant or not finite) over all test films; "
        "cells without any are left out.",
        some.reset_index(),
    )


def _priors(table: pd.DataFrame) -> Table:
    return shown(
        "priors", "How alike are maps that share nothing, by size of the grid in cells.", table
    )


def _evidence(table: pd.DataFrame) -> Table:
    rows = table.query("pairing == 'finetune' and measure == 'lesion_mass' and n > 0")
    return shown(
        "evidence_change",
        "Change of the share of a map that lies on the lesion, after less before fine-tuning, "
        "with 95 % intervals over patients.",
        rows.drop(columns=["pairing", "measure"]),
    )


def _correction(table: pd.DataFrame) -> Table:
    return shown(
        "correction",
        "What each measure says about a fine-tuning that takes a planted shortcut away, beside one "
        "that keeps it: films of the class that the marker betrays, 95 % intervals over patients.",
        table.query("role == 'post_activation'").drop(columns=["role", "kind"]),
    )


def _sensitivity(table: pd.DataFrame) -> Table:
    return shown("sensitivity", "Drift and ranking by layer, class, score and reading.", table)
