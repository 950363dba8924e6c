"""Figures of known evidence: from data frames to matplotlib figures, without computing.

A table without a column that is needed, with a cell that occurs twice, or with a value that has no
look is refused with a ValueError.
"""

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lib.drift.metrics import SIMILARITIES, metric_label
from lib.figures import style
from lib.figures.style import ARCHITECTURE, INK, SMALL, STAGE, Marked
from lib.study.names import METHOD_TITLES
from lib.study.schema import require_columns

_MEASURE = {
    "lesion_mass": "relevance mass\nin the lesion (share of the map)",
    "lesion_enrichment": "relevance mass in the\nlesion (multiples of its area)",
    "lesion_hit": "peaks that hit\nthe lesion (share of the maps)",
    "lung_mass": "relevance mass\nin the lungs (share of the map)",
}
_UNIFORM = {"marker": "|", "color": "black", "markersize": 11, "markeredgewidth": 1.6}
_CENTRE = {"marker": "x", "color": INK, "markersize": 5, "markeredgewidth": 1.2}


def drift_against_evidence(
    joined: pd.DataFrame, validity: pd.DataFrame, *, role: str, metric: str = "iou_top20",
    target: str = "lesion_mass", marked: Marked = (),
) -> Figure:  # fmt: skip
    """Drift against the change of the true evidence, a panel per method × architecture.

    Parameters
    ----------
    joined, validity : DataFrame
        Of `lib.evidence.validity`: `with_change` and `metric_validity` of one pairing.
    role, metric : str
        Layer and drift metric; a similarity S is drawn as 1 − S.
    target : str
        Measure of evidence whose change is drawn.
    marked : Marked
        See `lib.figures.style.Marked`.

    Raises
    ------
    ValueError
        If a column or the role is missing, or there are several pairings.
    """
    measure = f"{target}_change"
    keys = ["architecture", "method", "role"]
    require_columns(joined, [*keys, "pairing", metric, measure], "joined")
    columns = [*keys, "pairing", "metric", "relation", "rho", "n", "blank"]
    require_columns(validity, columns, "validity")
    rows = style.of_metric(joined, role, "role")
    if len(found := sorted(set(rows["pairing"]))) > 1:
        raise ValueError(f"joined: found the pairings {found}; expected one: select it.")
    told = validity[(validity["role"] == role) & (validity["metric"] == metric)]
    told = told[told["pairing"].isin(found)]
    style.once(told, [*keys, "relation"], "validity", "pairing")
    told = told.set_index(["architecture", "method", "relation"])
    _, methods, architectures = style.facets(rows)
    figure, axes = style.panels(
        len(methods), len(architectures), width=max(5, 1.6 + 2.8 * len(architectures)), height=2.5,
        title=f"Does drift show whether true evidence was won or lost? ({role})", sharex=True,
        sharey=True,
    )  # fmt: skip
    name = metric_label(metric)
    if metric in SIMILARITIES:
        rows, label = rows.assign(drift=1 - rows[metric]), "Drift:\n1 − " + name.split(" (")[0]
    else:
        rows, label = rows.assign(drift=rows[metric]), style.two_lines(name)
    rows = rows.dropna(subset=["drift", measure])
    reach, low, high = 1, 0, 1
    if len(rows):
        reach = max(0.05, rows[measure].abs().max())
        low, high = min(0, rows["drift"].min()), max(1e-6, rows["drift"].max())
    room, drawn = 0.08 * (high - low), []
    for (i, j), ax in np.ndenumerate(axes):
        own = (rows["method"] == methods[i]) & (rows["architecture"] == architectures[j])
        points = rows[own]
        ax.axvline(0, color=INK, linewidth=1, zorder=1)
        ax.axhline(0, color=INK, linewidth=1, zorder=1)
        if len(points):
            bins = {"gridsize": (24, 12), "mincnt": 1, "extent": (-reach, reach, low, high)}
            look = {"cmap": "cividis_r", "edgecolors": INK, "linewidths": 0.3, "zorder": 2}
            drawn.append(ax.hexbin(points[measure], points["drift"], **bins, **look))
        ax.set(xlim=(-1.08 * reach, 1.08 * reach), ylim=(low - room, high + room))
        head = f"{ARCHITECTURE[architectures[j]].title} · {METHOD_TITLES[methods[i]]}"
        head += style.sign([(architectures[j], role, methods[i])], marked)
        ax.set_title(f"{head}\n{_told(told, architectures[j], methods[i])}", fontsize=9)
        ax.xaxis.set_major_locator(MaxNLocator(5, symmetric=True))
    most = max([2, *(cells.get_array().max() for cells in drawn)])
    norm = LogNorm(1, most)
    for cells in drawn:
        cells.set_norm(norm)
    style.outer_labels(axes, f"Change of the {_MEASURE[target]}", label)
    colours = ScalarMappable(norm, "cividis_r")
    bar = figure.colorbar(colours, ax=axes, label="Pairs in a hexagon", aspect=40)
    bar.ax.minorticks_off()
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if tick <= most]
    bar.set_ticks(ticks, labels=[str(tick) for tick in ticks])
    note = "Right of the line: evidence gained, left: lost. "
    note += "ρ: Spearman, of drift with the size of the change and with the signed change."
    style.legend(figure, [], [], note, marked)
    return figure


def _told(told: pd.DataFrame, architecture: str, method: str) -> str:
    """Counts and correlations of a panel in two lines."""
    rows = [(architecture, method, relation) for relation in ("size", "signed")]
    if not all(row in told.index for row in rows):
        return "no pair with a known change\n"
    size, signed = (told.loc[row] for row in rows)
    count = f"n = {size['n']:.0f}" + (f" + {size['blank']:.0f} blank" if size["blank"] else "")
    rho = [f"{row['rho']:.2f}".replace("-", "−").replace("nan", "–") for row in (size, signed)]
    return f"{count}\nρ = {rho[0]} with size, {rho[1]} with sign"


def evidence_levels(summary: pd.DataFrame, *, measure: str = "lesion_mass") -> Figure:
    """Mean evidence of every stage beside chance, a panel per layer × method.

    The table is that of `lib.evidence.changes.evidence_summary` by architecture, stage, role and
    method.
    """
    keys = ["architecture", "stage", "role", "method"]
    columns = ["measure", "n", "mean", "low", "high", "uniform", "centre"]
    require_columns(summary, [*keys, *columns], "summary")
    rows = style.of_metric(summary, measure, "measure")
    style.once(rows, keys, "summary", "class")
    stages = style.present(rows["stage"], STAGE, "stage")
    figure, axes, panels, architectures = style.facet_grid(
        rows, title="How much of the evidence lies where it should, before and after?", each=2.9,
        base=0.6, row=0.5, small=False,
    )  # fmt: skip
    offsets = dict(zip(stages, style.slots(len(stages)), strict=True))
    for ax, role, method in panels:
        for row in rows[(rows["role"] == role) & (rows["method"] == method)].itertuples():
            y = architectures.index(row.architecture) + offsets[row.stage]
            ends = row.mean - row.low, row.high - row.mean
            style.estimate(ax, y, row.mean, ends, row.n, STAGE[row.stage], zorder=3)
            if not np.isnan(row.mean):
                ax.plot(row.uniform, y, linestyle="none", zorder=4, **_UNIFORM)
                ax.plot(row.centre, y, linestyle="none", zorder=4, **_CENTRE)
        style.rows_of_architectures(ax, architectures)
    axes[0, 0].set_xlim(left=0)
    axes[0, 0].xaxis.set_major_locator(MaxNLocator(4))
    style.outer_labels(axes, f"Mean {_MEASURE[measure]}", "Architecture")
    handles, labels = style.key(STAGE, stages)
    handles += [Line2D([], [], linestyle="none", **mark) for mark in (_UNIFORM, _CENTRE)]
    note = "Whiskers: 95 % interval over patients. Marks without colour: chance on the same films."
    style.legend(figure, handles, [*labels, "uniform map", "centre prior"], note)
    return figure


_ON_THE_WAY = {
    "unit_distance": "Squared distance from the start\n(maps of unit length)",
    "lesion_mass": "Share of the map in the lesion",
    "balanced_accuracy": "Balanced accuracy, test films",
    "blank": "Blank maps (share)",
}


def trajectory(table: pd.DataFrame, *, role: str, method: str, marked: Marked = ()) -> Figure:
    """Drift, known evidence, accuracy and blank maps against the epoch of fine-tuning.

    Parameters
    ----------
    table : DataFrame
        Of `lib.evidence.trajectory.of_study`.
    role, method : str
        Which maps.
    marked : Marked
        See `lib.figures.style.Marked`.

    Raises
    ------
    ValueError
        If a column is missing.
    """
    columns = ["architecture", "epoch", "kept", "role", "method", "films", *_ON_THE_WAY]
    require_columns(table, columns, "table")
    rows = table[(table["role"] == role) & (table["method"] == method)]
    rows = rows.assign(blank=rows["blank"] / rows["films"].where(rows["films"] > 0))
    architectures = style.present(rows["architecture"], ARCHITECTURE, "architecture")
    figure, axes = style.panels(
        2, 2, width=8, height=2.2, sharex=True,
        title=f"What came first, accuracy or drift? {METHOD_TITLES[method]} at {role}",
    )  # fmt: skip
    for ax, (quantity, title) in zip(axes.flat, _ON_THE_WAY.items(), strict=True):
        for name in architectures:
            look, own = ARCHITECTURE[name], rows[rows["architecture"] == name]
            line = {"color": look.colour, "linestyle": look.line, "marker": ".", "linewidth": 1.4}
            ax.plot(own["epoch"], own[quantity], **line)
            kept = own[own["kept"].astype(bool)]
            ax.plot(kept["epoch"], kept[quantity], **style.dot(look, zorder=3))
        if rows[quantity].isna().all():
            place = {"transform": ax.transAxes, "ha": "center", "va": "center"}
            ax.text(0.5, 0.5, "no value", color=INK, fontsize=SMALL, **place)
        ax.set_ylim(bottom=0)
        ax.set_ylabel(title)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    for ax in axes[-1]:
        ax.set_xlabel("Epoch of fine-tuning (0 = transfer)")
    handles, titles = style.key(ARCHITECTURE, architectures)
    signs = [style.sign([(name, role, method)], marked) for name in architectures]
    titles = [title + sign for title, sign in zip(titles, signs, strict=True)]
    style.legend(figure, handles, titles, "One seed each. Large marker: the epoch kept.", marked)
    return figure
