"""Figures of inference: what is retained, whether a ranking reverses, and how sure a rank is.

From the tables of `hypotheses.estimates`, without computing. Every interval is drawn, every cell
without a value is named. A table without a column that is needed, or with a value that has no look,
is refused with a ValueError.
"""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from lib.drift.metrics import metric_label
from lib.figures import style
from lib.figures.style import ARCHITECTURE, INK, PAIRING, SMALL
from lib.study.names import METHOD_TITLES
from lib.study.schema import require_columns

_BROWN = sns.color_palette("colorblind").as_hex()[5]
_SKY, _VERMILION, _PINK = (PAIRING[n].colour for n in ("placebo", "finetune", "finetune_seeds"))
_WINDOW = (-0.5, 1.5)  # of R: an interval that leaves it has an arrow


def retained(table: pd.DataFrame, *, metric: str = "iou_top20") -> Figure:
    """Forest plot of retained evidence: a row per layer and architecture, a panel per method.

    Parameters
    ----------
    table : pandas.DataFrame
        From `lib.hypotheses.estimates.retained_table`.
    metric : str
        One of those in "metric".
    """
    columns = ["architecture", "method", "role", "metric", "estimate", "low", "high", "seed_level"]
    require_columns(table, [*columns, "films", "pairs", "blank"], "table")
    rows = style.of_metric(table, metric)
    roles, methods, architectures = style.facets(rows)
    places = [(role, name) for role in roles for name in architectures]
    figure, axes = style.panels(
        1,
        len(methods),
        width=max(5.5, 1.9 + 2.7 * len(methods)),
        height=0.8 + 0.3 * len(places) + 0.15 * len(roles),
        title="How much of the evidence is retained?",
        sharex=True,
        sharey=True,
    )
    heights = [i + 0.5 * (i // len(architectures)) for i in range(len(places))]
    for ax, method in zip(axes[0], methods, strict=True):
        own = rows[rows["method"] == method].set_index(["role", "architecture"])
        for value, line in ((0, ":"), (1, "--")):
            ax.axvline(value, color=INK, linestyle=line, linewidth=1, zorder=1)
        for place, y in zip(places, heights, strict=True):
            if place in own.index:
                _forest_row(ax, own.loc[place], y, ARCHITECTURE[place[1]])
        ax.set(title=METHOD_TITLES[method], xlim=_WINDOW, xlabel="Retained evidence R")
        ax.grid(False, axis="y")
    first = axes[0, 0]
    names = [f"{role} · {ARCHITECTURE[name].title}" for role, name in places]
    first.set_yticks(heights, names)
    first.set_ylim(heights[-1] + 0.6, -0.6)
    first.set_ylabel("Layer and architecture")
    handles = [
        *(Line2D([], [], **style.dot(ARCHITECTURE[name])) for name in architectures),
        Line2D([], [], color=INK, linestyle="--"),
        Line2D([], [], color=INK, linestyle=":"),
    ]
    titles = [*style.titles(ARCHITECTURE, architectures), "1 = placebo", "0 = unrelated films"]
    measured = metric_label(metric).split(" (")[0]
    note = f"{measured}; bars: intervals, arrows: they go on. {_seeds(rows['seed_level'])}"
    style.legend(figure, handles, titles, note)
    return figure


def _forest_row(ax, row: pd.Series, y: float, look: style.Look) -> None:
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


def interaction(table: pd.DataFrame, *, metric: str = "iou_top20") -> Figure:
    """Difference of two architectures under either method: a reversal has opposite signs.

    Parameters
    ----------
    table : pandas.DataFrame
        From `lib.hypotheses.estimates.crossover_table`: one pair of methods.
    metric : str
        The metric that the effects are differences of.
    """
    parts = [f"{name}{end}" for name in ("effect_a", "effect_b", "interaction")
             for end in ("", "_low", "_high")]  # fmt: skip
    keys = ["first", "second", "role", "method_a", "method_b"]
    require_columns(table, [*keys, *parts, "crosses", "problem", "seed_level"], "table")
    if len(pairs := table[["method_a", "method_b"]].drop_duplicates()) != 1:
        raise ValueError(f"table: found {len(pairs)} pairs of methods; expected one.")
    style.present([*table["first"], *table["second"]], ARCHITECTURE, "first, second")
    roles = style.roles_present(table["role"])
    compared = list(dict.fromkeys(zip(table["first"], table["second"], strict=True)))
    titles = [METHOD_TITLES[table[side].iloc[0]] for side in ("method_a", "method_b")]
    white = {"markerfacecolor": "white", "linestyle": "--"}
    # Not the colours of architectures: a row is of two.
    marks = {
        "effect_a": {"color": "black", "marker": "o", "label": titles[0]},
        "effect_b": {"color": "black", "marker": "s", "label": titles[1]} | white,
        "interaction": {"color": _BROWN, "marker": "D"}
        | {"label": f"interaction ({titles[0]} less {titles[1]})"},
    }
    figure, axes = style.panels(
        1,
        len(roles),
        width=max(5.5, 2.2 + 2.6 * len(roles)),
        height=0.9 + 0.75 * len(compared),
        title="Does the more stable architecture depend on the method?",
        sharex=True,
        sharey=True,
    )
    for ax, role in zip(axes[0], roles, strict=True):
        ax.axvline(0, color=INK, linewidth=1, zorder=1)
        own = table[table["role"] == role].set_index(["first", "second"])
        for y, pair in enumerate(compared):
            if pair not in own.index:
                continue
            row = own.loc[pair]
            for offset, (name, mark) in zip((-0.26, 0, 0.26), marks.items(), strict=True):
                _effect(ax, row, name, y + offset, mark)
            if row["crosses"] or row["problem"]:
                word = "reverses" if row["crosses"] else "not judged"
                place = {"transform": ax.get_yaxis_transform(), "ha": "right", "va": "top"}
                ax.text(0.98, y - 0.48, word, fontsize=SMALL, color=INK, **place)
        ax.set_title(role)
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.set_ylim(len(compared) - 0.5, -0.55)
        ax.grid(False, axis="y")
        ax.set_xlabel("Difference in mean\n" + metric_label(metric).split(" (")[0])
    names = [f"{ARCHITECTURE[a].title}\nless {ARCHITECTURE[b].title}" for a, b in compared]
    axes[0, 0].set_yticks(range(len(compared)), names)
    axes[0, 0].set_ylabel("Pair of architectures")
    handles = [Line2D([], [], linewidth=1.6, **mark) for mark in marks.values()]
    note = "Reversal: the two methods on opposite sides of 0, bars (intervals) and all. "
    labels = [mark["label"] for mark in marks.values()]
    style.legend(figure, handles, labels, note + _seeds(table["seed_level"]))
    return figure


def _effect(ax, row: pd.Series, name: str, y: float, mark: dict) -> None:
    if np.isnan(row[name]):
        place = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": SMALL}
        ax.text(0.03, y, "no value", color=INK, **place)
        return
    ends = row[[f"{name}_low", f"{name}_high"]].to_numpy(float)
    bar = {"color": mark["color"], "linestyle": mark.get("linestyle", "-")}
    ax.plot(ends, [y, y], linewidth=1.6, zorder=2, **bar)
    point = mark | {"linestyle": "none", "markeredgecolor": INK, "markersize": 6}
    ax.plot([row[name]], [y], zorder=3, **point)


def rank_probabilities(table: pd.DataFrame) -> Figure:
    """How often each architecture takes each rank: a row per layer, a panel per method.

    Parameters
    ----------
    table : pandas.DataFrame
        The ranks of `lib.hypotheses.estimates.rank_tables`.
    """
    keys = ["role", "method", "architecture"]
    require_columns(table, [*keys, "rank", "probability", "seeds"], "table")
    roles, methods, architectures = style.facets(table)
    ranks = range(1, len(architectures) + 1)
    figure, axes = style.panels(
        len(roles),
        len(methods),
        width=max(5.5, 1.6 + 2.3 * len(methods)),
        height=0.6 + 0.33 * len(architectures),
        title="How sure is the rank of an architecture?",
        sharex=True,
        sharey=True,
    )
    norm = Normalize(0, 1)
    for (i, j), ax in np.ndenumerate(axes):
        own = table[(table["role"] == roles[i]) & (table["method"] == methods[j])]
        chance = own.dropna(subset="rank").pivot_table("probability", "architecture", "rank")
        chance = chance.reindex(index=architectures, columns=ranks).to_numpy(float)
        ax.imshow(chance, cmap="cividis", norm=norm, aspect="auto")
        told = np.vectorize("{:.2f}".format)(chance)
        style.tell_shares(ax, chance, np.where(np.isnan(chance), "–", told))
        ax.set_title(f"{roles[i]} · {METHOD_TITLES[methods[j]]}", fontsize=9)
        ax.set_xticks(range(len(ranks)), [f"{rank}" for rank in ranks])
        ax.set_yticks(range(len(architectures)), style.titles(ARCHITECTURE, architectures))
        ax.grid(False)
    style.outer_labels(axes, "Rank (1 = most stable)", "Architecture")
    label = "Share of the resamples (0 to 1)"
    figure.colorbar(ScalarMappable(norm, "cividis"), ax=axes, label=label, aspect=40)
    least = table["seeds"].min()
    note = "–: no value, because every map is blank, or a rank that is not given out. "
    seeds = "Patients resampled only: one seed." if least < 2 else "Seeds and patients resampled."
    style.legend(figure, [], [], note + seeds)
    return figure


def _seeds(levels: pd.Series) -> str:
    known = levels[~levels.str.contains("no pairs|0 seeds")]
    patients_only = known.str.contains("not estimated")
    if patients_only.all():
        return "Seed level not estimated: intervals are over patients only, for these checkpoints."
    if patients_only.any():
        few = f"{patients_only.sum()} of {len(known)}"
        return f"Intervals are over seeds and patients; {few} over patients only (too few seeds)."
    return "Intervals are over seeds and patients."


_PARTS = {
    "placebo": ("placebo", _SKY, "////"),
    "systematic": ("all seeds share", _VERMILION, ""),
    "seed_specific": ("each seed adds", _PINK, "...."),
    "unrelated": ("up to unrelated films", "0.9", ""),
}


def decomposition(table: pd.DataFrame) -> Figure:
    """What drift is made of: stacked parts by architecture, a panel per layer and method.

    Parameters
    ----------
    table : pandas.DataFrame
        From `lib.hypotheses.estimates.decomposition_table`.
    """
    require_columns(table, ["architecture", "method", "role", "part", "estimate"], "table")
    roles, methods, architectures = style.facets(table)
    figure, axes = style.panels(
        len(roles),
        len(methods),
        width=max(5.5, 1.2 + 2.7 * len(methods)),
        height=0.7 + 0.35 * len(architectures),
        title="What is drift made of?",
        sharex=True,
        sharey=True,
    )
    values = table.pivot_table(
        "estimate", ["role", "method", "architecture"], "part", dropna=False
    ).reindex(columns=list(_PARTS))
    for (i, j), ax in np.ndenumerate(axes):
        for y, name in enumerate(architectures):
            place = (roles[i], methods[j], name)
            part = values.loc[place] if place in values.index else pd.Series(dtype=float)
            _stack(ax, y, part.reindex(list(_PARTS)))
        ax.set_title(f"{roles[i]} · {METHOD_TITLES[methods[j]]}", fontsize=9)
        style.rows_of_architectures(ax, architectures)
    style.outer_labels(axes, "Squared distance\n(maps of unit length)", "Architecture")
    handles = [Patch(facecolor=c, edgecolor=INK, hatch=h) for _, c, h in _PARTS.values()]
    note = "Drift of fine-tuning: all that is not grey. Intervals: tables/decomposition.csv."
    style.legend(figure, handles, [title for title, *_ in _PARTS.values()], note)
    return figure


def _stack(ax, y: int, part: pd.Series) -> None:
    if part[["systematic", "seed_specific"]].isna().any():
        place = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": SMALL}
        ax.text(0.03, y, "no value", color=INK, **place)
        return
    still = 0.0 if np.isnan(part["placebo"]) else part["placebo"]
    moved = max(part["systematic"], 0.0)
    first = min(still, moved)  # what the placebo moves is part of what all seeds share
    ends = np.cumsum([first, moved - first, part["seed_specific"]])
    ends = [*ends, max(ends[-1], np.nan_to_num(part["unrelated"]))]
    start = 0.0
    for end, (_, colour, hatch) in zip(ends, _PARTS.values(), strict=True):
        ax.barh(y, end - start, left=start, color=colour, hatch=hatch, edgecolor=INK, lw=0.6)
        start = end
