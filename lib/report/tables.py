"""The tables of a report: what is shown of each, with names for readers and numbers to sort by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.drift.metrics import METRICS, metric_label
from lib.report import marks, trust_tables
from lib.report.digest import PRIMARY, drift_means
from lib.report.lesion import known_evidence
from lib.report.trust_tables import Shown, plain, pooled
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
    "sd_pairs": "sd over runs", "finetune": "fine-tuned", "finetune_seeds": "two seeds",
    "transfer_seeds": "two transfers", "common": "of every network", "all_films": "all films",
    "lost_as_0": "all films, lost = 0", "rho": "ρ, size", "rho_signed": "ρ, signed",
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """A cell of a shown table: its text ("–" is a missing number), and what is sorted and saved."""

    text: str
    value: str
    number: bool


@dataclass(frozen=True)
class Table:
    """A table that a page shows, sorts and offers as CSV: `columns` there, `heads` as shown."""

    name: str
    caption: str
    columns: tuple[str, ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def shown(name: str, caption: str, frame: pd.DataFrame, *, decimals: int = 3) -> Table:
    """Make a table of a data frame, with so many decimals of what is no whole number."""
    columns = [[_cell(column, value, decimals) for value in frame[column]] for column in frame]
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

    Drift of maps that are marked (see `lib.report.marks`) is marked in every table.
    """
    signs, found = marks.signs(tables), {}
    for name, make in MAKERS.items():
        table = MADE[name](tables) if name in MADE else tables.get(name)
        if table is None or table.empty:
            continue
        more = (tables.get("transitions"),) if name == "drift" else ()
        caption, frame = make(table, *more)
        if name in _OF_MAPS:
            caption, frame = marks.with_signs(caption, frame, signs)
        if len(frame):
            found[name] = shown("kept_correct" if name == "strata" else name, caption, frame)
    return found


_OF_MAPS = (
    *("drift", "metrics", "strata", "retained", "decomposition", "partial_agreement"),
    *("head_and_features", "confidence", "consistency", "supports", "known_evidence"),
    "evidence_change",
)
"""Tables whose rows are of the maps of a network, a layer and a method."""


def _wide(table: pd.DataFrame) -> pd.DataFrame:
    wide = drift_means(table)
    tuned = table[(table["metric"] == PRIMARY) & (table["pairing"] == _main_pairing(table))]
    counts = tuned.set_index(wide.index.names)[["n", "blank"]]
    return wide.join(counts.reindex(wide.index)).reset_index()


def _main_pairing(table: pd.DataFrame) -> str:
    found = list(dict.fromkeys(table["pairing"]))
    return "finetune" if "finetune" in found else found[0]


def _drift(table: pd.DataFrame, transitions: pd.DataFrame | None) -> Shown:
    rows, note = _wide(table), ""
    if transitions is not None and len(transitions):
        own = transitions[transitions["pairing"] == _main_pairing(table)]
        # Rows are of one class each: so every class counts alike.
        lost = own.groupby(_CELL)[[PRIMARY, f"{PRIMARY}_lost_as_0"]].mean()
        rows = rows.join(lost.set_axis(["all_films", "lost_as_0"], axis=1), on=_CELL)
        note = (
            " Beside it all test films, every class alike: the pairs that are scored, and these "
            "with 0 for a map that vanished or appeared."
        )
    return (
        "Overlap of the strongest 20 % of cells, mean over the films that count, every class "
        "alike; 1 = the same places, 0 = none in common. Pairs and blank count the pairs of maps "
        "before and after fine-tuning, over all seeds: scored, and not scored because a map is "
        f"blank.{note}",
        rows,
    )


def _metrics(table: pd.DataFrame) -> Shown:
    rows = table[table["pairing"] == _main_pairing(table)]
    wide = rows.pivot_table(index=_CELL, columns="metric", values="mean", sort=False, dropna=False)
    caption = "All drift metrics before → after fine-tuning, mean over the films that count."
    return caption, wide.reset_index()


def _blanks(table: pd.DataFrame) -> Shown:
    keys = ["architecture", "checkpoint", "role", "method"]
    films = table.drop_duplicates([*keys, "label"]).groupby(keys, sort=False)["n"].sum()
    counts = table.groupby(keys, sort=False)["blank"].sum()
    rows = pd.DataFrame({"maps": films, "blank": counts, "share": counts / films})
    some = rows[rows["blank"] > 0].sort_values("share", ascending=False, kind="stable")
    return (
        "Blank maps (zero everywhere, constant or not finite) over all test films; "
        "cells without any are left out.",
        some.reset_index(),
    )


MADE = {"metrics": lambda tables: tables.get("drift"), "known_evidence": known_evidence}
"""Tables that are made of those that are read."""
_INTERVAL = ["estimate", "low", "high"]
MAKERS: dict[str, Callable[..., Shown]] = {
    "performance": plain(
        "Test films, by checkpoint.",
        lambda t: t.query("split == 'test'").drop(columns="split").rename(columns={"n": "films"}),
    ),
    "support": plain(
        "Test films by class, those of them that every checkpoint of every network classifies "
        "correctly, and those that every checkpoint of one network does, which are compared.",
        lambda t: t.rename(columns=names.ARCHITECTURE_TITLES),
    ),
    "metrics": _metrics,
    "strata": plain(
        "The same over the films that the architecture classifies correctly at both checkpoints: "
        "more films, but not the same ones for every architecture and pairing.",
        lambda t: _wide(t.query("stratum == 'kept-correct'")),
    ),
    "retained": plain(
        "Retained evidence R with 95 % intervals: 1 = no more drift than the placebo, "
        "0 = as different as maps of unrelated films.",
        lambda t: t.loc[t["metric"] == PRIMARY, [*_CELL, *_INTERVAL, "films", "seed_level"]],
    ),
    "blanks": _blanks,
    "priors": plain("How alike are maps that share nothing, by size of the grid in cells."),
    "decomposition": plain(
        "How far fine-tuning moved the maps at the pooled map, between the placebo (0) and maps of "
        "unrelated films (1), and which share of that drift all seeds have in common; 95 % "
        "intervals, over the films that every checkpoint of the architecture classifies correctly, "
        "every class alike.",
        lambda t: pooled(t, "part", {"way_to_unrelated": "way to unrelated films",
                                     "systematic_share": "shared by all seeds",
                                     "start_share": "shared from another transfer too"}),
    ),
    "partial_agreement": plain(
        "Agreement of two fine-tunings at the pooled map once the transfer checkpoint is taken out "
        "of both: the correlation that is left, 0 = none, 1 = all; 95 % intervals.",
        lambda t: pooled(t, "measure", {"partial": "same film",
                                        "partial_other": "another film of the class"}),
    ),
    "drift": _drift,
    "faithfulness": plain(
        "Do the maps tell what the prediction rests on? Area between the insertion and the "
        "deletion curve, in excess of random maps of the same films, with 95 % intervals over "
        "patients; 0 = no better than random.",
        lambda t: t[[*_CELL, "checkpoint", "films", "excess", "low", "high", "finding"]],
    ),
    "evidence_change": plain(
        "Change of the share of a map that lies on the lesion, after less before fine-tuning, "
        "with 95 % intervals over patients.",
        lambda t: t.query("pairing == 'finetune' and measure == 'lesion_mass' and n > 0").drop(
            columns=["pairing", "measure"]
        ),
    ),
    "marker_use": plain(
        "Do the networks use the planted marker? Probability of the class that it betrays, on "
        "films of the class without their marker (taken away) and on films of other classes with "
        "it (put on), with 95 % intervals over patients."
    ),
    "correction": plain(
        "What each measure says about a fine-tuning that takes a planted shortcut away, beside one "
        "that keeps it: films of the class that the marker betrays, 95 % intervals over patients.",
        lambda t: t.query("role == 'post_activation'").drop(columns=["role", "kind"]),
    ),
    "sensitivity": plain("Drift and ranking by layer, class, score and reading."),
    **trust_tables.MAKERS,
}  # fmt: skip
