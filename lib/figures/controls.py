"""Figures of controls and of what a map explains, from tables and without computing."""

from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.drift.metrics import TABLE
from lib.figures import style
from lib.figures.style import INK, PAIRING, STAGE, Marked
from lib.study.names import stage_of
from lib.study.schema import require_columns

_SWAPS = {
    "head": replace(PAIRING["head_only"], title="with the head"),
    "features": replace(PAIRING["features_only"], title="with the features"),
}


def head_and_features(table: pd.DataFrame, *, marked: Marked = ()) -> Figure:
    """What of the drift came with the head and what with the features, by layer and method.

    The table is that of `lib.hypotheses.estimates.decomposition_table` with its ``SWAPS``.
    """
    require_columns(table, ["architecture", "method", "role", "part", "estimate"], "table")
    figure, axes, panels, architectures = style.facet_grid(
        table, title="Did the head move the evidence, or the features?"
    )
    values = table.set_index(["role", "method", "architecture", "part"])["estimate"]
    for ax, *panel in panels:
        for y, name in enumerate(architectures):
            parts = {part: values.get((*panel, name, part), np.nan) for part in _SWAPS}
            if np.isnan(list(parts.values())).any():
                style.no_value(ax, y)
                continue
            ends = {True: 0.0, False: 0.0}  # parts of one sign follow each other
            for part, value in parts.items():
                style.bar(ax, y, value, ends[value > 0], _SWAPS[part])
                ends[value > 0] += value
        ax.axvline(0, color=INK, linewidth=1)
        style.rows_of_architectures(ax, architectures, panel, marked)
    style.outer_labels(axes, "Squared distance\n(maps of unit length)", "Architecture")
    note = "Both parts add to the drift of fine-tuning. Intervals: tables/head_and_features.csv."
    style.legend(figure, *style.patches(_SWAPS.values()), note, marked)
    return figure


def faithfulness(table: pd.DataFrame) -> Figure:
    """How much more faithful than random maps each kind of map is, before and after.

    The table is that of `lib.evidence.faithfulness.table_of`.
    """
    keys = ["architecture", "checkpoint", "role", "method"]
    require_columns(table, [*keys, "films", "excess", "low", "high"], "table")
    table = table.assign(stage=stage_of(table["checkpoint"]))
    stages = style.present(table["stage"], STAGE, "stage")
    figure, axes, panels, architectures = style.facet_grid(
        table, title="Do the maps tell what the prediction rests on?"
    )
    offsets = dict(zip(stages, style.slots(len(stages), 0.5), strict=True))
    for ax, role, method in panels:
        for row in table[(table["role"] == role) & (table["method"] == method)].itertuples():
            y = architectures.index(row.architecture) + offsets[row.stage]
            ends = row.excess - row.low, row.high - row.excess
            style.estimate(ax, y, row.excess, ends, row.films, STAGE[row.stage])
        ax.axvline(0, color=INK, linewidth=1)
        style.rows_of_architectures(ax, architectures)
    style.outer_labels(axes, "Insertion less deletion,\nin excess of random maps", "Architecture")
    note = "Whiskers: 95 % interval over patients. 0: no better than a random map."
    style.legend(figure, *style.key(STAGE, stages), note)
    return figure


def metric_agreement(table: pd.DataFrame) -> Figure:
    """Whether the drift metrics rank the same films alike, a panel per layer.

    The table is that of `lib.drift.convergent.metric_agreement`, and averaged here over
    architectures and methods.
    """
    require_columns(table, ["role", "metric_a", "metric_b", "rho"], "table")
    roles = style.roles_present(table["role"])
    metrics = style.present([*table["metric_a"], *table["metric_b"]], TABLE, "metric")
    columns = min(2, len(roles))
    figure, axes = style.panels(
        -(-len(roles) // columns), columns, width=2.6 + 3.6 * columns, height=3.5, sharey=True,
        title="Do the metrics agree on which films drifted most?",
    )  # fmt: skip
    for ax in axes.flat[len(roles) :]:
        ax.set_visible(False)
    places = range(len(metrics))
    names = [f"{TABLE[name].title.split(' (')[0]}  {n + 1}" for n, name in enumerate(metrics)]
    for ax, role in zip(axes.flat, roles, strict=False):
        square = table[table["role"] == role].pivot_table("rho", "metric_a", "metric_b")
        square = square.reindex(index=metrics, columns=metrics)
        square = square.fillna(square.T).to_numpy(copy=True)
        np.fill_diagonal(square, np.nan)
        image = ax.imshow(square, vmin=-1, vmax=1, cmap="cividis")
        texts = np.vectorize("{:.1f}".format)(square.round(1) + 0)  # "+ 0": no minus before zero
        texts = np.where(np.isnan(square), "", np.char.replace(texts, "-", "−"))
        style.tell_shares(ax, (square + 1) / 2, texts)
        ax.set_xticks(places, [n + 1 for n in places])
        ax.set_yticks(places, names)
        ax.set_title(role)
        ax.grid(False)
    figure.colorbar(image, ax=axes, label="Spearman ρ over films", aspect=30)
    return figure
