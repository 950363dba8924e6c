"""Figures of drift, from tables and without computing: distributions, controls and ranking.

What is compared shares its axis; colours and markers are those of `lib.figures.style`. A table
without a column that is needed, or with a value that has no look, is refused with a ValueError.
"""

from collections.abc import Collection

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lib.drift.metrics import metric_label
from lib.evidence.faithfulness import Cell
from lib.figures import style
from lib.figures.style import ARCHITECTURE, INK, PAIRING, SMALL, Look
from lib.study.names import METHOD_TITLES
from lib.study.schema import require_columns


def drift_distributions(
    pairs: pd.DataFrame, *, metric: str = "iou_top20", marked: Collection[Cell] = ()
) -> Figure:
    """Distribution of a drift metric by architecture and pairing, a panel per role and method.

    Parameters
    ----------
    pairs : pandas.DataFrame
        A row per pair: "architecture", "method", "role", "pairing", the metric and "blank" ("" or
        missing where neither map is blank).
    marked : collection of (architecture, role, method)
        As in `controls`.
    """
    keys = ["role", "method", "architecture", "pairing"]
    require_columns(pairs, [*keys, metric, "blank"], "pairs")
    roles, methods, architectures = style.facets(pairs)
    pairings = style.present(pairs["pairing"], PAIRING, "pairing")
    groups = dict(iter(pairs.groupby(keys, observed=True)))
    figure, axes = style.panels(
        len(roles),
        len(methods),
        width=max(5.5, 0.8 + 3.1 * len(methods)),
        height=2.75,
        title="How alike are the two maps of a pair?",
        sharey=True,
    )
    longest = 0
    for (i, j), ax in np.ndenumerate(axes):
        for x, architecture in enumerate(architectures):
            for pairing, offset in zip(pairings, style.slots(len(pairings), 0.9), strict=True):
                group = groups.get((roles[i], methods[j], architecture, pairing))
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
        ax.set_title(f"{roles[i]} · {METHOD_TITLES[methods[j]]}")
        signs = [style.sign([(name, roles[i], methods[j])], marked) for name in architectures]
        names = zip(style.titles(ARCHITECTURE, architectures), signs, strict=True)
        ax.set_xticks(range(len(architectures)), [" ".join(filter(None, name)) for name in names])
        ax.set_xlim(-0.55, len(architectures) - 0.45)
        ax.grid(False, axis="x")
    for ax in axes.flat:
        ax.tick_params(axis="x", pad=4 + 5.2 * longest)
    style.outer_labels(axes, "Architecture", style.two_lines(metric_label(metric)))
    handles = [
        (
            Patch(facecolor=look.colour, edgecolor=INK, hatch=look.hatch),
            Line2D([], [], **style.dot(look, size=6, markeredgecolor="white")),
        )
        for look in (PAIRING[name] for name in pairings)
    ]
    note = "Box: quartiles and median; whiskers: 5 % to 95 % of the pairs; marker: mean. "
    note += "Under each box: pairs scored, + pairs without a value because a map is blank."
    note += style.marked_note(marked)
    style.legend(figure, handles, style.titles(PAIRING, pairings), note)
    return figure


def _box(ax, values: np.ndarray, x: float, width: float, look: Look) -> None:
    if not len(values):
        return
    ax.boxplot(
        [values],
        positions=[x],
        widths=width,
        whis=(5, 95),
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": look.colour, "edgecolor": INK, "hatch": look.hatch, "lw": 0.8},
        medianprops={"color": "black", "linewidth": 2},
        whiskerprops={"color": INK},
        capprops={"color": INK},
    )
    ax.plot(x, values.mean(), **style.dot(look, size=6, zorder=3, markeredgecolor="white"))


def ranking(ranking: pd.DataFrame, *, metric: str, marked: Collection[Cell] = ()) -> Figure:
    """Mean and rank of every architecture by method: lines that cross are a reversed ranking.

    Parameters
    ----------
    ranking : pandas.DataFrame
        One pairing: "method", "role", "architecture", "mean" and "rank" (1 = most stable).
    metric : str
        The metric that "mean" is of.
    marked : collection of (architecture, role, method)
        As in `controls`.
    """
    keys = ["role", "architecture", "method"]
    require_columns(ranking, [*keys, "mean", "rank"], "ranking")
    if ranking.duplicated(keys).any():
        found = ranking.loc[ranking.duplicated(keys), keys].iloc[0].to_dict()
        raise ValueError(f"ranking: found {found} twice; expected once: select one pairing.")
    roles, methods, architectures = style.facets(ranking)
    figure, axes = style.panels(
        1,
        len(roles),
        width=max(5, 0.8 + 3.1 * len(roles)),
        height=3.3,
        title="Which architecture's maps are most stable? Crossing lines reverse the ranking",
        sharey=True,
    )
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
                else:
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
    axes[0, 0].margins(y=0.12)
    low, high = axes[0, 0].get_ylim()
    axes[0, 0].set_ylim(low - (high - low) * 0.07 * lines, high)
    axes[0, 0].set_ylabel(style.two_lines("Mean " + metric_label(metric)))
    handles = [Line2D([], [], **style.hollow(ARCHITECTURE[name], size=9)) for name in architectures]
    note = f"Number in each marker: rank, 1 = most stable.{style.marked_note(marked)}"
    style.legend(figure, handles, style.titles(ARCHITECTURE, architectures), note)
    return figure


def controls(
    summary: pd.DataFrame,
    *,
    metric: str = "iou_top20",
    between: tuple[str, str] = ("placebo", "ceiling"),
    marked: Collection[Cell] = (),
    title: str = "Where does fine-tuning lie between placebo and ceiling?",
) -> Figure:
    """Mean drift of every pairing: where fine-tuning lies between placebo and ceiling.

    Parameters
    ----------
    summary : pandas.DataFrame
        "architecture", "method", "role", "pairing", "metric", "n", "mean" and "sd".
    metric : str
        One of those in "metric".
    between : tuple of str
        The two pairings that a grey bar joins.
    marked : collection of (architecture, role, method)
        Maps that are not shown to be more faithful than random ones.
    """
    columns = ["architecture", "method", "role", "pairing", "metric", "n", "mean", "sd"]
    require_columns(summary, columns, "summary")
    rows = style.of_metric(summary, metric)
    roles, methods, architectures = style.facets(rows)
    pairings = style.present(rows["pairing"], PAIRING, "pairing")
    figure, axes = style.panels(
        len(roles),
        len(methods),
        width=max(5.5, 1.2 + 2.9 * len(methods)),
        height=0.7 + 0.6 * len(architectures),
        title=title,
        sharex=True,
        sharey=True,
    )
    offsets = dict(zip(pairings, style.slots(len(pairings), 0.8), strict=True))
    for (i, j), ax in np.ndenumerate(axes):
        panel = rows[(rows["role"] == roles[i]) & (rows["method"] == methods[j])]
        for y, architecture in enumerate(architectures):
            own = panel[panel["architecture"] == architecture].set_index("pairing")
            ends = own.loc[own.index.isin(between), "mean"].dropna()
            if set(ends.index) == set(between):
                span = {"left": ends.min(), "height": 0.86, "color": "0.85", "zorder": 0}
                ax.barh(y, ends.max() - ends.min(), **span)
            for pairing, row in own.iterrows():
                height = y + offsets[pairing]
                if np.isnan(row["mean"]):
                    place = {"transform": ax.get_yaxis_transform(), "va": "center"}
                    ax.text(0.02, height, f"n = {row['n']:g}", fontsize=SMALL, **place)
                    continue
                mean, sd = row[["mean"]].to_numpy(float), row["sd"]
                ends = style.whiskers(mean, mean - sd, mean + sd, metric)
                whisker = {"xerr": ends, "ecolor": INK, "elinewidth": 1}
                ax.errorbar(mean, height, **whisker, **style.dot(PAIRING[pairing], size=6))
        ax.set_title(f"{roles[i]} · {METHOD_TITLES[methods[j]]}")
        style.rows_of_architectures(ax, architectures, (roles[i], methods[j]), marked)
    style.outer_labels(axes, style.two_lines("Mean " + metric_label(metric)), "Architecture")
    handles = [Line2D([], [], **style.dot(PAIRING[name])) for name in pairings]
    labels = style.titles(PAIRING, pairings)
    if set(between) <= set(pairings):
        handles, labels = (
            [*handles, Patch(color="0.85")],
            [*labels, "from {} to {}".format(*between)],
        )
    note = "Whiskers: ± 1 standard deviation over the pairs, as far as values are possible."
    cells = {*rows[["architecture", "role", "method"]].itertuples(index=False, name=None)}
    style.legend(figure, handles, labels, note + style.marked_note(cells & {*marked}))
    return figure


_OUTCOMES = {
    "present": ("evidence before and after", "0.85", ""),
    "vanished": ("vanished", style.ORANGE, "////"),
    "appeared": ("appeared", style.SKY, "...."),
    "blank": ("blank before and after", "0.35", ""),
}


def transitions(table: pd.DataFrame) -> Figure:
    """Share of the films whose map was there, vanished, appeared or was blank, by architecture.

    Parameters
    ----------
    table : pandas.DataFrame
        One pairing of `lib.drift.summaries.transitions`.
    """
    keys = ["role", "method", "architecture"]
    require_columns(table, [*keys, "films", *_OUTCOMES], "table")
    roles, methods, architectures = style.facets(table)
    counts = table.groupby(keys, observed=True)[["films", *_OUTCOMES]].sum()
    shares = counts.div(counts["films"], axis=0)
    figure, axes = style.panels(
        len(roles),
        len(methods),
        width=max(5.5, 1.2 + 2.7 * len(methods)),
        height=0.7 + 0.35 * len(architectures),
        title="Was there evidence before and after?",
        sharex=True,
        sharey=True,
    )
    for (i, j), ax in np.ndenumerate(axes):
        for y, name in enumerate(architectures):
            start = 0.0
            for outcome, (_, colour, hatch) in _OUTCOMES.items():
                width = shares[outcome].get((roles[i], methods[j], name), 0.0)
                ax.barh(y, width, left=start, color=colour, hatch=hatch, edgecolor=INK, lw=0.6)
                start += width
        ax.set(title=f"{roles[i]} · {METHOD_TITLES[methods[j]]}", xlim=(0, 1))
        style.rows_of_architectures(ax, architectures)
    style.outer_labels(axes, "Share of the pairs", "Architecture")
    handles = [Patch(facecolor=c, edgecolor=INK, hatch=h) for _, c, h in _OUTCOMES.values()]
    style.legend(figure, handles, [title for title, *_ in _OUTCOMES.values()], "All test films.")
    return figure
