"""Figures of drift, from tables and without computing: distributions, controls and ranking.

What is compared shares its axis; colours and markers are those of `lib.figures.style`. A table
without a column that is needed, or with a value that has no look, is refused with a ValueError.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lib.drift.metrics import metric_label
from lib.figures import style
from lib.figures.style import ARCHITECTURE, INK, PAIRING, SMALL, Look, Marked
from lib.study.names import METHOD_TITLES
from lib.study.schema import require_columns


def drift_distributions(
    pairs: pd.DataFrame, *, metric: str = "iou_top20", marked: Marked = ()
) -> Figure:
    """Distribution of a drift metric by architecture and pairing, a panel per role and method.

    Parameters
    ----------
    pairs : DataFrame
        As ``tables/pairs.csv``; "blank" is "" or missing where neither map of the pair is blank.
    metric, marked
        As in `controls`.

    Raises
    ------
    ValueError
        If a column is missing or a pairing is unknown.
    """
    keys = ["role", "method", "architecture", "pairing"]
    require_columns(pairs, [*keys, metric, "blank"], "pairs")
    pairings = style.present(pairs["pairing"], PAIRING, "pairing")
    groups = dict(iter(pairs.groupby(keys, observed=True)))
    figure, axes, panels, architectures = style.facet_grid(
        pairs, title="How alike are the two maps of a pair?", left=0.8, each=3.1, base=2.75, row=0,
        small=False, sharex=False,
    )  # fmt: skip
    longest = 0
    for ax, role, method in panels:
        for x, architecture in enumerate(architectures):
            for pairing, offset in zip(pairings, style.slots(len(pairings), 0.9), strict=True):
                group = groups.get((role, method, architecture, pairing))
                if group is None:
                    continue
                blank = group["blank"].notna() & (group["blank"] != "")
                values = group[metric].where(~blank).dropna().to_numpy()
                unscored = len(group) - len(values)
                _box(ax, values, x + offset, 0.7 * 0.9 / len(pairings), PAIRING[pairing])
                count = f"{len(values)}" + (f" +{unscored}" if unscored else "")
                place = {"transform": ax.get_xaxis_transform(), "rotation": 90, "va": "top"}
                ax.text(x + offset, -0.02, count, ha="center", fontsize=SMALL, **place)
                longest = max(longest, len(count))
        signs = [style.sign([(name, role, method)], marked) for name in architectures]
        names = zip(style.titles(ARCHITECTURE, architectures), signs, strict=True)
        ax.set_xticks(range(len(architectures)), [" ".join(filter(None, name)) for name in names])
        ax.set_xlim(-0.55, len(architectures) - 0.45)
        ax.grid(False, axis="x")
    for ax in axes.flat:
        ax.tick_params(axis="x", pad=4 + 5.2 * longest)
    style.outer_labels(axes, "Architecture", style.two_lines(metric_label(metric)))
    dots, titles = style.key(PAIRING, pairings, size=6, markeredgecolor="white")
    boxes, _ = style.patches([PAIRING[name] for name in pairings])
    note = "Box: quartiles and median; whiskers: 5 % to 95 % of the pairs; marker: mean. "
    note += "Under each box: pairs scored, + pairs without a value because a map is blank."
    style.legend(figure, list(zip(boxes, dots, strict=True)), titles, note, marked)
    return figure


def _box(ax, values: np.ndarray, x: float, width: float, look: Look) -> None:
    if not len(values):
        return
    box = {"facecolor": look.colour, "edgecolor": INK, "hatch": look.hatch, "lw": 0.8}
    ax.boxplot(
        [values], positions=[x], widths=width, whis=(5, 95), showfliers=False, patch_artist=True,
        manage_ticks=False, boxprops=box, medianprops={"color": "black", "linewidth": 2},
        whiskerprops={"color": INK}, capprops={"color": INK},
    )  # fmt: skip
    ax.plot(x, values.mean(), **style.dot(look, size=6, zorder=3, markeredgecolor="white"))


def ranking(ranking: pd.DataFrame, *, metric: str, marked: Marked = ()) -> Figure:
    """Mean and rank of every architecture by method: lines that cross are a reversed ranking.

    Parameters
    ----------
    ranking : DataFrame
        One pairing of `lib.drift.summaries.rank_architectures`.
    metric : str
        That of the table.
    marked : Marked
        As in `controls`.

    Raises
    ------
    ValueError
        If a column is missing, or a row occurs twice, as with several pairings.
    """
    keys = ["role", "architecture", "method"]
    require_columns(ranking, [*keys, "mean", "rank"], "ranking")
    style.once(ranking, keys, "ranking", "pairing")
    roles, methods, architectures = style.facets(ranking)
    figure, axes = style.panels(
        1, len(roles), width=max(5, 0.8 + 3.1 * len(roles)), height=3.3, sharey=True,
        title="Which architecture's maps are most stable? Crossing lines reverse the ranking",
    )  # fmt: skip
    offsets, lines = style.slots(len(architectures), 0.75), 0
    for ax, role in zip(axes[0], roles, strict=True):
        absent: list[list[str]] = [[] for _ in methods]
        for architecture, offset in zip(architectures, offsets, strict=True):
            own = (ranking["role"] == role) & (ranking["architecture"] == architecture)
            look, rows = ARCHITECTURE[architecture], ranking[own].set_index("method")
            rows = rows[["mean", "rank"]].reindex(methods)
            x, means = np.arange(len(methods)) + offset, rows["mean"].to_numpy()
            ax.plot(x, means, label=look.title, zorder=2, **style.hollow(look))
            for k, (mean, rank) in enumerate(rows.to_numpy()):
                if np.isnan(mean):
                    absent[k].append(look.title)
                    continue
                text = {"ha": "center", "va": "center_baseline", "fontsize": SMALL}
                rank = f"{rank:g}{style.sign([(architecture, role, methods[k])], marked)}"
                ax.text(x[k], mean, rank, zorder=3, color="black", **text)
        for k, missing in enumerate(absent):
            if missing:
                lines = max(lines, 1 + len(missing))
                note = "\n".join(["no value:", *missing])
                place = {"transform": ax.get_xaxis_transform(), "ha": "center", "va": "bottom"}
                ax.text(k, 0.02, note, fontsize=SMALL, color=INK, **place)
        ax.set_xticks(range(len(methods)), [METHOD_TITLES[name] for name in methods])
        ax.set(xlim=(-0.5, len(methods) - 0.5), title=role, xlabel="Attribution method")
    first = axes[0, 0]
    first.margins(y=0.12)
    low, high = first.get_ylim()
    first.set_ylim(low - (high - low) * 0.07 * lines, high)
    first.set_ylabel(style.two_lines("Mean " + metric_label(metric)))
    handles = [Line2D([], [], **style.hollow(ARCHITECTURE[name], size=9)) for name in architectures]
    note = "Number in each marker: rank, 1 = most stable."
    style.legend(figure, handles, style.titles(ARCHITECTURE, architectures), note, marked)
    return figure


def controls(
    summary: pd.DataFrame, *, metric: str = "iou_top20",
    between: tuple[str, str] = ("placebo", "ceiling"), marked: Marked = (),
    title: str = "Where does fine-tuning lie between placebo and ceiling?",
) -> Figure:  # fmt: skip
    """Mean drift of every pairing: where fine-tuning lies between placebo and ceiling.

    Parameters
    ----------
    summary : DataFrame
        Of `lib.drift.summaries.summarise`, by architecture, method, role and pairing.
    metric : str
        Drift metric.
    between : tuple of str
        Two pairings that a grey bar joins.
    marked : Marked
        See `lib.figures.style.Marked`.
    title : str

    Raises
    ------
    ValueError
        If a column or the metric is missing, or a pairing is unknown.
    """
    columns = ["architecture", "method", "role", "pairing", "metric", "n", "mean", "sd"]
    require_columns(summary, columns, "summary")
    rows = style.of_metric(summary, metric)
    pairings = style.present(rows["pairing"], PAIRING, "pairing")
    figure, axes, panels, architectures = style.facet_grid(
        rows, title=title, each=2.9, row=0.6, small=False
    )
    offsets = dict(zip(pairings, style.slots(len(pairings), 0.8), strict=True))
    for ax, *panel in panels:
        for y, architecture in enumerate(architectures):
            own = (rows[["architecture", "role", "method"]] == [architecture, *panel]).all(axis=1)
            own = rows[own].set_index("pairing")
            ends = own.loc[own.index.isin(between), "mean"].dropna()
            if set(ends.index) == set(between):
                span = {"left": ends.min(), "height": 0.86, "color": "0.85", "zorder": 0}
                ax.barh(y, ends.max() - ends.min(), **span)
            for row in own.itertuples():
                ends = style.whiskers(row.mean, row.mean - row.sd, row.mean + row.sd, metric)
                look, height = PAIRING[row.Index], y + offsets[row.Index]
                style.estimate(ax, height, row.mean, ends, row.n, look, width=1)
        style.rows_of_architectures(ax, architectures, panel, marked)
    style.outer_labels(axes, style.two_lines("Mean " + metric_label(metric)), "Architecture")
    handles, labels = style.key(PAIRING, pairings)
    if set(between) <= set(pairings):
        handles.append(Patch(color="0.85"))
        labels.append("from {} to {}".format(*between))
    note = "Whiskers: ± 1 standard deviation over the pairs, as far as values are possible."
    cells = {*rows[["architecture", "role", "method"]].itertuples(index=False, name=None)}
    style.legend(figure, handles, labels, note, cells & {*marked})
    return figure


_OUTCOMES = {
    "present": Look("evidence before and after", "0.85", ""),
    "vanished": Look("vanished", style.ORANGE, "", hatch="////"),
    "appeared": Look("appeared", style.SKY, "", hatch="...."),
    "blank": Look("blank before and after", "0.35", ""),
}


def transitions(table: pd.DataFrame) -> Figure:
    """Share of the films whose map was there, vanished, appeared or was blank, by architecture.

    The table is one pairing of `lib.drift.summaries.transitions`.
    """
    keys = ["role", "method", "architecture"]
    require_columns(table, [*keys, "films", *_OUTCOMES], "table")
    counts = table.groupby(keys, observed=True)[["films", *_OUTCOMES]].sum()
    shares = counts.div(counts["films"], axis=0)
    figure, axes, panels, architectures = style.facet_grid(
        table, title="Was there evidence before and after?", small=False
    )
    for ax, *panel in panels:
        for y, name in enumerate(architectures):
            start = 0.0
            for outcome, look in _OUTCOMES.items():
                width = shares[outcome].get((*panel, name), 0.0)
                style.bar(ax, y, width, start, look)
                start += width
        ax.set_xlim(0, 1)
        style.rows_of_architectures(ax, architectures)
    style.outer_labels(axes, "Share of the pairs", "Architecture")
    style.legend(figure, *style.patches(_OUTCOMES.values()), "All test films.")
    return figure
