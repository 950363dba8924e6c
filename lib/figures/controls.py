"""Figures of controls and of what a map explains, from tables and without computing."""

from collections.abc import Collection

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lib.drift.metrics import TABLE
from lib.evidence.faithfulness import Cell
from lib.figures import style
from lib.figures.style import INK, PAIRING, SMALL, STAGE
from lib.study.names import METHOD_TITLES, stage_of
from lib.study.schema import require_columns

_SWAPS = {
    "head": ("with the head", "head_only"),
    "features": ("with the features", "features_only"),
}


def head_and_features(table: pd.DataFrame, *, marked: Collection[Cell] = ()) -> Figure:
    """What of the drift came with the head and what with the features, by layer and method.

    Parameters
    ----------
    table : pandas.DataFrame
        From `lib.hypotheses.estimates.decomposition_table` with its ``SWAPS``.
    marked : collection of (architecture, role, method)
        As in `lib.figures.drift.controls`.
    """
    require_columns(table, ["architecture", "method", "role", "part", "estimate"], "table")
    roles, methods, architectures = style.facets(table)
    figure, axes = style.panels(
        len(roles), len(methods), width=max(5.5, 1.2 + 2.7 * len(methods)),
        height=0.7 + 0.35 * len(architectures), title="Did the head move the evidence, or the "
        "features?", sharex=True, sharey=True,
    )  # fmt: skip
    values = table.set_index(["role", "method", "architecture", "part"])["estimate"]
    for (i, j), ax in np.ndenumerate(axes):
        for y, name in enumerate(architectures):
            place = roles[i], methods[j], name
            parts = {part: values.get((*place, part), np.nan) for part in _SWAPS}
            if np.isnan(list(parts.values())).any():
                where = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": SMALL}
                ax.text(0.03, y, "no value", color=INK, **where)
                continue
            ends = {True: 0.0, False: 0.0}  # parts of one sign follow each other
            for part, value in parts.items():
                look, start = PAIRING[_SWAPS[part][1]], ends[value > 0]
                box = {"color": look.colour, "hatch": look.hatch, "edgecolor": INK, "lw": 0.6}
                ax.barh(y, value, left=start, **box)
                ends[value > 0] += value
        ax.axvline(0, color=INK, linewidth=1)
        ax.set_title(f"{roles[i]} · {METHOD_TITLES[methods[j]]}", fontsize=9)
        style.rows_of_architectures(ax, architectures, (roles[i], methods[j]), marked)
    style.outer_labels(axes, "Squared distance\n(maps of unit length)", "Architecture")
    looks = [PAIRING[name] for _, name in _SWAPS.values()]
    handles = [Patch(facecolor=look.colour, edgecolor=INK, hatch=look.hatch) for look in looks]
    note = "Both parts add to the drift of fine-tuning. Intervals: tables/head_and_features.csv."
    note += style.marked_note(marked)
    style.legend(figure, handles, [title for title, _ in _SWAPS.values()], note)
    return figure


def faithfulness(table: pd.DataFrame) -> Figure:
    """How much more faithful than random maps each kind of map is, before and after.

    Parameters
    ----------
    table : pandas.DataFrame
        From `lib.evidence.faithfulness.table_of`.
    """
    keys = ["architecture", "checkpoint", "role", "method"]
    require_columns(table, [*keys, "films", "excess", "low", "high"], "table")
    roles, methods, architectures = style.facets(table)
    table = table.assign(stage=stage_of(table["checkpoint"]))
    stages = style.present(table["stage"], STAGE, "stage")
    figure, axes = style.panels(
        len(roles), len(methods), width=max(5.5, 1.2 + 2.7 * len(methods)),
        height=0.7 + 0.35 * len(architectures), sharex=True, sharey=True,
        title="Do the maps tell what the prediction rests on?",
    )  # fmt: skip
    offsets = dict(zip(stages, style.slots(len(stages), 0.5), strict=True))
    for (i, j), ax in np.ndenumerate(axes):
        panel = table[(table["role"] == roles[i]) & (table["method"] == methods[j])]
        for _, row in panel.iterrows():
            y = architectures.index(row["architecture"]) + offsets[row["stage"]]
            if np.isnan(row["excess"]):
                place = {"transform": ax.get_yaxis_transform(), "va": "center"}
                ax.text(0.02, y, f"n = {row['films']:g}", fontsize=SMALL, **place)
                continue
            ends = [[row["excess"] - row["low"]], [row["high"] - row["excess"]]]
            whisker = {"xerr": np.nan_to_num(ends), "ecolor": INK, "elinewidth": 1.2}
            ax.errorbar(row["excess"], y, **whisker, **style.dot(STAGE[row["stage"]], size=6))
        ax.axvline(0, color=INK, linewidth=1)
        ax.set_title(f"{roles[i]} · {METHOD_TITLES[methods[j]]}", fontsize=9)
        style.rows_of_architectures(ax, architectures)
    style.outer_labels(axes, "Insertion less deletion,\nin excess of random maps", "Architecture")
    handles = [Line2D([], [], **style.dot(STAGE[name])) for name in stages]
    note = "Whiskers: 95 % interval over patients. 0: no better than a random map."
    style.legend(figure, handles, style.titles(STAGE, stages), note)
    return figure


def metric_agreement(table: pd.DataFrame) -> Figure:
    """Whether the drift metrics rank the same films alike, a panel per layer.

    Parameters
    ----------
    table : pandas.DataFrame
        From `lib.drift.convergent.metric_agreement`: "role", "metric_a", "metric_b" and "rho",
        averaged here over architectures and methods.
    """
    require_columns(table, ["role", "metric_a", "metric_b", "rho"], "table")
    roles = style.roles_present(table["role"])
    metrics = style.present([*table["metric_a"], *table["metric_b"]], TABLE, "metric")
    titles = [TABLE[name].title.split(" (")[0] for name in metrics]
    columns = min(2, len(roles))
    figure, axes = style.panels(
        -(-len(roles) // columns), columns, width=2.6 + 3.6 * columns, height=3.5, sharey=True,
        title="Do the metrics agree on which films drifted most?",
    )  # fmt: skip
    for ax in axes.flat[len(roles) :]:
        ax.set_visible(False)
    numbers = range(1, len(metrics) + 1)
    for ax, role in zip(axes.flat, roles, strict=False):
        own = table[table["role"] == role]
        mean = own.pivot_table("rho", "metric_a", "metric_b")
        square = mean.reindex(index=metrics, columns=metrics)
        square = square.fillna(square.T).to_numpy(copy=True)
        np.fill_diagonal(square, np.nan)
        image = ax.imshow(square, vmin=-1, vmax=1, cmap="cividis")
        texts = np.vectorize(lambda rho: "" if np.isnan(rho) else f"{round(rho, 1) + 0:.1f}")(
            square
        )
        style.tell_shares(ax, (square + 1) / 2, np.char.replace(texts, "-", "−"))
        ax.set_xticks(range(len(metrics)), numbers)
        ax.set_yticks(
            range(len(metrics)), [f"{title}  {n}" for n, title in zip(numbers, titles, strict=True)]
        )
        ax.set_title(role)
        ax.grid(False)
    figure.colorbar(image, ax=axes, label="Spearman ρ over films", aspect=30)
    return figure
