"""How much of the evidence every question of an audit retained, with its interval."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.figures import style
from lib.figures.style import INK
from lib.study.schema import require_columns


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
