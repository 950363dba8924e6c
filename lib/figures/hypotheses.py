"""Figures of inference: what is retained, whether a ranking reverses, and how sure a rank is.

From the tables of `hypotheses.estimates`, without computing. Every interval is drawn, every cell
without a value is named. A table without a column that is needed, or with a value that has no look,
is refused with a ValueError.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.drift.metrics import metric_label
from lib.figures import style
from lib.figures.style import ARCHITECTURE, INK, PAIRING, SMALL, Look, Marked
from lib.study.names import METHOD_TITLES
from lib.study.schema import require_columns

_WINDOW = (-0.5, 1.5)  # of R: an interval that leaves it has an arrow


def retained(table: pd.DataFrame, *, metric: str = "iou_top20", marked: Marked = ()) -> Figure:
    """Forest plot of retained evidence: a row per layer and architecture, a panel per method.

    Parameters
    ----------
    table : DataFrame
        Of `lib.hypotheses.estimates.retained_table`.
    metric : str
        Similarity.
    marked : Marked
        See `lib.figures.style.Marked`.

    Raises
    ------
    ValueError
        If a column or the metric is missing.
    """
    columns = ["architecture", "method", "role", "metric", "estimate", "low", "high", "seed_level"]
    require_columns(table, [*columns, "films", "pairs", "blank"], "table")
    rows = style.of_metric(table, metric)
    roles, methods, architectures = style.facets(rows)
    places = [(role, name) for role in roles for name in architectures]
    figure, axes = style.panels(
        1, len(methods), width=max(5.5, 1.9 + 2.7 * len(methods)), sharex=True, sharey=True,
        height=0.8 + 0.3 * len(places) + 0.15 * len(roles),
        title="How much of the evidence is retained?",
    )  # fmt: skip
    heights = [i + 0.5 * (i // len(architectures)) for i in range(len(places))]
    for ax, method in zip(axes[0], methods, strict=True):
        own = rows[rows["method"] == method].set_index(["role", "architecture"])
        for value, line in ((0, ":"), (1, "--")):
            ax.axvline(value, color=INK, linestyle=line, linewidth=1, zorder=1)
        for place, y in zip(places, heights, strict=True):
            if place in own.index:
                _forest_row(ax, own.loc[place], y, ARCHITECTURE[place[1]])
        shown = [(name, role, method) for role, name in places]
        style.mark(ax, [(y, [cell]) for y, cell in zip(heights, shown, strict=True)], marked)
        ax.set(title=METHOD_TITLES[method], xlim=_WINDOW, xlabel="Retained evidence R")
        ax.grid(False, axis="y")
    first = axes[0, 0]
    first.set_yticks(heights, [f"{role} · {ARCHITECTURE[name].title}" for role, name in places])
    first.set_ylim(heights[-1] + 0.6, -0.6)
    first.set_ylabel("Layer and architecture")
    handles, titles = style.key(ARCHITECTURE, architectures)
    handles += [Line2D([], [], color=INK, linestyle=line) for line in ("--", ":")]
    measured = metric_label(metric).split(" (")[0]
    note = f"{measured}; bars: intervals, arrows: they go on. {seeds_note(rows['seed_level'])}"
    style.legend(figure, handles, [*titles, "1 = placebo", "0 = unrelated films"], note, marked)
    return figure


def _forest_row(ax, row: pd.Series, y: float, look: Look) -> None:
    low, high = _WINDOW
    if np.isnan(row["estimate"]):
        why = f"no value: {row['blank']:g} of {row['pairs']:g} blank" if row["pairs"] else "no film"
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        ax.text(0.5, y, why, fontsize=SMALL, color=INK, ha="center", va="center", bbox=box)
        return
    # Without an interval (one patient, or a placebo not above the ceiling) R could be anything.
    left = row["low"] if row["low"] >= low else low
    right = row["high"] if row["high"] <= high else high
    bar = {"color": look.colour, "linewidth": 2, "solid_capstyle": "butt", "zorder": 2}
    ax.plot(np.clip([left, right], low, high), [y, y], **bar)
    for end, limit, marker in ((row["low"], low, "<"), (row["high"], high, ">")):
        if not low <= end <= high:
            arrow = {"marker": marker, "color": look.colour, "clip_on": False, "markersize": 6}
            ax.plot([limit], [y], zorder=3, **arrow)
    if low <= row["estimate"] <= high:
        ax.plot([row["estimate"]], [y], **style.dot(look, size=6, zorder=4))


def seeds_note(levels: pd.Series) -> str:
    """What the intervals of a table are over, for a legend."""
    known = levels[~levels.str.contains("no pairs|0 seeds")]
    patients_only = known.str.contains("not estimated")
    if patients_only.all():
        return "Seed level not estimated: intervals are over patients only, for these checkpoints."
    if patients_only.any():
        few = f"{patients_only.sum()} of {len(known)}"
        return f"Intervals are over seeds and patients; {few} over patients only (too few seeds)."
    return "Intervals are over seeds and patients."


_PARTS = {
    "placebo": replace(PAIRING["placebo"], title="placebo"),
    "systematic": replace(PAIRING["finetune"], title="all seeds share"),
    "seed_specific": replace(PAIRING["finetune_seeds"], title="each seed adds"),
    "unrelated": Look("up to unrelated films", "0.9", ""),
}


def decomposition(table: pd.DataFrame, *, marked: Marked = ()) -> Figure:
    """What drift is made of: stacked parts by architecture, a panel per layer and method.

    The table is that of `lib.hypotheses.estimates.decomposition_table`.
    """
    require_columns(table, ["architecture", "method", "role", "part", "estimate"], "table")
    figure, axes, panels, architectures = style.facet_grid(table, title="What is drift made of?")
    keys = ["role", "method", "architecture"]
    values = table.pivot_table("estimate", keys, "part", dropna=False).reindex(columns=[*_PARTS])
    for ax, *panel in panels:
        for y, name in enumerate(architectures):
            _stack(ax, y, values.reindex([(*panel, name)]).iloc[0])
        style.rows_of_architectures(ax, architectures, panel, marked)
    style.outer_labels(axes, "Squared distance\n(maps of unit length)", "Architecture")
    note = "Drift of fine-tuning: all that is not grey. Intervals: tables/decomposition.csv."
    style.legend(figure, *style.patches(_PARTS.values()), note, marked)
    return figure


def _stack(ax, y: int, part: pd.Series) -> None:
    if part[["systematic", "seed_specific"]].isna().any():
        style.no_value(ax, y)
        return
    moved = max(part["systematic"], 0.0)
    # What the placebo moves is part of what all seeds share.
    first = min(np.nan_to_num(part["placebo"]), moved)
    ends = np.cumsum([first, moved - first, part["seed_specific"]])
    ends = [*ends, max(ends[-1], np.nan_to_num(part["unrelated"]))]
    start = 0.0
    for end, look in zip(ends, _PARTS.values(), strict=True):
        style.bar(ax, y, end - start, start, look)
        start = end
