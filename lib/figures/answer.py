"""The one figure that heads a report: how far fine-tuning moved the maps, with its interval."""

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
