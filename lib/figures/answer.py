"""The one figure that heads a report of a study, or of an audit, with its intervals."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from lib.evidence.faithfulness import NOTE
from lib.figures import style
from lib.figures.style import ARCHITECTURE, INK, Marked
from lib.study.schema import require_columns


def way(moved: pd.DataFrame, *, panel: tuple[str, str] = ("", ""), marked: Marked = ()) -> Figure:
    """How far the maps moved between two controls, a row per architecture.

    The table is that of `lib.report.words.way`, of the maps of a `panel`: a role and a method. An
    interval without finite ends is not drawn.
    """
    require_columns(moved, ["architecture", "estimate", "low", "high", "measure"], "moved")
    architectures = style.present(moved["architecture"], ARCHITECTURE, "architecture")
    rows = moved.set_index("architecture").loc[architectures].replace([np.inf, -np.inf], np.nan)
    figure, axes = style.panels(
        1, 1, width=5.6, height=0.45 * len(rows), margin=1.5,
        title="How far did fine-tuning move the maps?",
    )  # fmt: skip
    ax = axes[0, 0]
    for place, (name, row) in enumerate(rows.iterrows()):
        ax.plot([row["low"], row["high"]], [place, place], color=INK, linewidth=1.6)
        ax.plot(row["estimate"], place, **style.dot(ARCHITECTURE[name], size=9))
        told = f"{round(100 * row['estimate'])} %"
        ax.annotate(told, (row["estimate"], place), (0, 8), textcoords="offset points", ha="center")
    style.rows_of_architectures(ax, architectures, panel, marked)
    ax.set_ylim(len(rows) - 0.4, -0.75)
    ends = rows[["estimate", "low", "high"]].melt()["value"]
    ax.set_xlim(min(-0.05, ends.min() - 0.05), max(1.05, ends.max() + 0.05))
    for end in (0, 1):
        ax.axvline(end, color=INK, linewidth=1, linestyle=":")
    ax.xaxis.set_major_formatter(PercentFormatter(1, symbol="\u2009%"))
    told = "0 %: as if the head alone were trained · 100 %: maps of other patients’ films\n"
    told += f"LayerCAM at the pooled map, {moved['measure'].iloc[0]}\nLines: 95 % intervals."
    if style.sign([(name, *panel) for name in architectures], marked):
        told += f"\n{NOTE}"
    ax.set_xlabel(told, fontsize=style.SMALL)
    return figure


def trend(table: pd.DataFrame) -> Figure:
    """Retained evidence of every question, a row each: findings, and steps between versions.

    "first" and "second" are places of the versions, from 1; an interval without ends is not drawn.
    """
    require_columns(table, ["finding", "first", "second", "estimate", "low", "high"], "table")
    several = table["second"].max() > 2
    size = {"width": 6.4, "height": 0.32 * len(table), "margin": 1.2}
    figure, axes = style.panels(1, 1, title="How much evidence was retained?", **size)
    ax, names = axes[0, 0], []
    for place, row in enumerate(table.to_dict("records")):
        step = f"version {row['first']} → {row['second']}" if several else ""
        names.append(", ".join(part for part in (row["finding"], step) if part) or "before → after")
        if np.isfinite([row["low"], row["high"]]).all():
            ax.plot([row["low"], row["high"]], [place, place], color=INK, linewidth=1.4)
        face = INK if row["second"] == row["first"] + 1 else "white"
        ax.plot(row["estimate"], place, "o", color=INK, markerfacecolor=face, markersize=6)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    for end in (0, 1):
        ax.axvline(end, color=INK, linewidth=1, linestyle=":")
    told = "0: maps of unrelated films · 1: the same version explained twice"
    if several:
        told += "\nfilled: from the version before; open: from the first"
    ax.set_xlabel(f"Retained evidence R\n{told}", fontsize=style.SMALL)
    return figure
