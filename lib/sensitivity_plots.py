"""Figure of how drift depends on the readings of one formula."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib import looks
from lib.looks import ARCHITECTURE, SMALL


def sensitivity(table: pd.DataFrame, *, metric: str = "iou_top20") -> Figure:
    """Mean of a drift metric by reading, a panel per layer and a marker per architecture.

    Parameters
    ----------
    table : DataFrame
        As `lib.readings.sensitivity`: ``role``, ``method``, a column per architecture, ``blank``.
    metric : str
        Name for the axis.

    Notes
    -----
    A reading whose markers lie as those of the study's own reading changes nothing; one whose
    markers change places changes the ranking. What is blank for all films has no marker.
    """
    looks.require_columns(table, ["role", "method", "blank"], "table")
    architectures = [name for name in ARCHITECTURE if name in table]
    roles = looks.roles_present(table["role"])
    readings = list(dict.fromkeys(table["method"]))
    figure, axes = looks.panels(
        1,
        len(roles),
        width=3.0 + 1.9 * len(roles),
        height=0.8 + 0.27 * len(readings),
        title="Drift from transfer to fine-tuned by the reading of the formula",
        sharey=True,
    )
    for role, ax in zip(roles, axes[0], strict=True):
        rows = table[table["role"] == role].set_index("method").reindex(readings)
        places = np.arange(len(readings))
        for name in architectures:
            look = ARCHITECTURE[name]
            ax.plot(rows[name], places, look.marker, color=look.colour, ms=6, mec="white", mew=0.6)
        ax.set(title=role, xlim=(-0.03, 1.03), ylim=(len(readings) - 0.5, -0.5))
        ax.set_xlabel(looks.two_lines(looks.metric_label(metric)), fontsize=SMALL)
        ax.set_yticks(places, readings, fontsize=SMALL)
    handles = [
        Line2D([], [], ls="", marker=ARCHITECTURE[name].marker, color=ARCHITECTURE[name].colour,
               label=ARCHITECTURE[name].title)
        for name in architectures
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure
