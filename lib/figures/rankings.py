"""Figures of rankings: whether the more stable architecture depends on the method.

From the tables of `lib.hypotheses.rankings`, without computing. Every interval is drawn, every cell
without a value is named. A table without a column that is needed, or with a value that has no look,
is refused with a ValueError.
"""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from lib.drift.metrics import metric_label
from lib.figures import style
from lib.figures.hypotheses import seeds_note
from lib.figures.style import ARCHITECTURE, BROWN, INK, PAIRING, SMALL, Marked
from lib.study.names import METHOD_TITLES
from lib.study.schema import require_columns

_ANSWERS = {
    "reverses": (PAIRING["finetune"].colour, "R"),
    "ruled out": (PAIRING["placebo"].colour, "–"),
    "open": ("white", "?"),
    "undefined": ("0.75", "∅"),
    "identity": ("0.92", "="),
}
"""Colour and sign of each answer: readable without colour."""


def reversal_map(table: pd.DataFrame, *, marked: Marked = ()) -> Figure:
    """Whether the order of two architectures reverses, for every pair of methods, layer and metric.

    The table is that of `lib.hypotheses.rankings.crossover_table`. An answer is marked if it rests
    on any maps that are.
    """
    require_columns(table, ["metric", "first", "second", "role", "method_a", "method_b",
                            "answer", "seed_level"], "table")  # fmt: skip
    unknown = set(table["answer"]) - set(_ANSWERS)
    if unknown:
        raise ValueError(f"answer: found {sorted(unknown)}; expected {', '.join(_ANSWERS)}.")
    metrics = list(dict.fromkeys(table["metric"]))
    roles = style.roles_present(table["role"])
    methods = list(dict.fromkeys(zip(table["method_a"], table["method_b"], strict=True)))
    compared = list(dict.fromkeys(zip(table["first"], table["second"], strict=True)))
    columns = [(role, pair) for role in roles for pair in methods]
    keys = ["metric", "first", "second", "role", "method_a", "method_b"]
    answers = table.set_index(keys)["answer"]
    figure, axes = style.panels(
        1, len(metrics), width=max(6.0, 2.6 + len(metrics) * 0.34 * len(columns)),
        height=2.3 + 0.45 * len(compared), title="Where does a ranking depend on the method?",
        sharex=True, sharey=True,
    )  # fmt: skip
    order, colours = list(_ANSWERS), ListedColormap([c for c, _ in _ANSWERS.values()])
    for ax, metric in zip(axes[0], metrics, strict=True):
        codes = np.empty((len(compared), len(columns)))
        for (y, x), _ in np.ndenumerate(codes):
            (role, both), pair = columns[x], compared[y]
            answer = answers.get((metric, *pair, role, *both), "undefined")
            codes[y, x] = order.index(answer)
            told = _ANSWERS[answer][1] + _sign(pair, role, both, marked)
            ax.text(x + 0.5, y + 0.5, told, ha="center", va="center", color=INK)
        ax.pcolormesh(codes, cmap=colours, vmin=-0.5, vmax=len(order) - 0.5, edgecolors=INK, lw=0.6)
        ax.set_title(fill(metric_label(metric).split(" (")[0], 22), fontsize=9)
        names = [f"{role}: {METHOD_TITLES[a]} / {METHOD_TITLES[b]}" for role, (a, b) in columns]
        ax.set_xticks(np.arange(len(columns)) + 0.5, names, rotation=90, fontsize=SMALL)
        ax.grid(False)
    axes[0, 0].set_yticks(np.arange(len(compared)) + 0.5, _differences(compared))
    axes[0, 0].invert_yaxis()
    handles = [Patch(facecolor=c, edgecolor=INK) for c, _ in _ANSWERS.values()]
    titles = {"open": "inconclusive"}  # as verdicts are called
    labels = [f"{sign}  {titles.get(name, name)}" for name, (_, sign) in _ANSWERS.items()]
    note = "The error of all comparisons together is kept (Holm). =: both methods are the same map "
    note += f"by algebra. {seeds_note(table['seed_level'])}"
    style.legend(figure, handles, labels, note, marked)
    return figure


def _differences(compared: list[tuple[str, str]]) -> list[str]:
    return [f"{ARCHITECTURE[a].title}\nless {ARCHITECTURE[b].title}" for a, b in compared]


def _sign(pair: tuple[str, str], role: str, methods: tuple[str, str], marked: Marked) -> str:
    """The mark of a comparison of two architectures under two methods."""
    return style.sign([(name, role, method) for name in pair for method in methods], marked)


def interaction(table: pd.DataFrame, *, marked: Marked = ()) -> Figure:
    """Difference of two architectures under either method: a reversal has opposite signs.

    The table is one pair of methods and one metric of `lib.hypotheses.rankings.crossover_table`.
    """
    parts = [f"{name}{end}" for name in ("effect_a", "effect_b", "interaction")
             for end in ("", "_low", "_high")]  # fmt: skip
    keys = ["first", "second", "role", "method_a", "method_b"]
    require_columns(table, [*keys, *parts, "metric", "answer", "problem", "seed_level"], "table")
    one = ["method_a", "method_b", "metric"]
    if len(pairs := table[one].drop_duplicates()) != 1:
        raise ValueError(f"table: found {len(pairs)} pairs of methods with a metric; expected one.")
    metric = table["metric"].iloc[0]
    style.present([*table["first"], *table["second"]], ARCHITECTURE, "first, second")
    roles = style.roles_present(table["role"])
    compared = list(dict.fromkeys(zip(table["first"], table["second"], strict=True)))
    both = tuple(table[side].iloc[0] for side in ("method_a", "method_b"))
    titles = [METHOD_TITLES[method] for method in both]
    hollow = {"markerfacecolor": "white", "linestyle": "--"}
    # Not the colours of architectures: a row is of two.
    marks = {
        "effect_a": {"color": "black", "marker": "o"},
        "effect_b": {"color": "black", "marker": "s", **hollow},
        "interaction": {"color": BROWN, "marker": "D"},
    }
    figure, axes = style.panels(
        1, len(roles), width=max(5.5, 2.2 + 2.6 * len(roles)), height=0.9 + 0.75 * len(compared),
        title="Does the more stable architecture depend on the method?", sharex=True, sharey=True,
    )  # fmt: skip
    for ax, role in zip(axes[0], roles, strict=True):
        ax.axvline(0, color=INK, linewidth=1, zorder=1)
        own = table[table["role"] == role].set_index(["first", "second"])
        for y, pair in enumerate(compared):
            if pair not in own.index:
                continue
            row = own.loc[pair]
            for offset, (name, mark) in zip((-0.26, 0, 0.26), marks.items(), strict=True):
                _effect(ax, row, name, y + offset, mark)
            word = "not judged" if row["answer"] == "open" and row["problem"] else row["answer"]
            word = "" if word in ("open", "ruled out") else word
            if word := f"{word} {_sign(pair, role, both, marked)}".strip():
                place = {"transform": ax.get_yaxis_transform(), "ha": "right", "va": "top"}
                ax.text(0.98, y - 0.48, word, fontsize=SMALL, color=INK, **place)
        ax.set_title(role)
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.set_ylim(len(compared) - 0.5, -0.55)
        ax.grid(False, axis="y")
        ax.set_xlabel("Difference in mean\n" + metric_label(metric).split(" (")[0])
    axes[0, 0].set_yticks(range(len(compared)), _differences(compared))
    axes[0, 0].set_ylabel("Pair of architectures")
    handles = [Line2D([], [], linewidth=1.6, **mark) for mark in marks.values()]
    note = "Reversal: the two methods on opposite sides of 0, bars (intervals) and all. "
    labels = [*titles, f"interaction ({titles[0]} less {titles[1]})"]
    style.legend(figure, handles, labels, note + seeds_note(table["seed_level"]), marked)
    return figure


def _effect(ax, row: pd.Series, name: str, y: float, mark: dict) -> None:
    if np.isnan(row[name]):
        style.no_value(ax, y)
        return
    ends = row[[f"{name}_low", f"{name}_high"]].to_numpy(float)
    bar = {"color": mark["color"], "linestyle": mark.get("linestyle", "-")}
    ax.plot(ends, [y, y], linewidth=1.6, zorder=2, **bar)
    point = mark | {"linestyle": "none", "markeredgecolor": INK, "markersize": 6}
    ax.plot([row[name]], [y], zorder=3, **point)


def rank_probabilities(table: pd.DataFrame, *, marked: Marked = ()) -> Figure:
    """How often each architecture takes each rank: a row per layer, a panel per method.

    The table has the ranks of `lib.hypotheses.rankings.rank_tables`.
    """
    keys = ["role", "method", "architecture"]
    require_columns(table, [*keys, "rank", "probability", "seeds"], "table")
    figure, axes, panels, architectures = style.facet_grid(
        table, title="How sure is the rank of an architecture?", left=1.6, each=2.3, base=0.6,
        row=0.33,
    )  # fmt: skip
    ranks = range(1, len(architectures) + 1)
    norm = Normalize(0, 1)
    for ax, *panel in panels:
        own = table[(table[["role", "method"]] == panel).all(axis=1)]
        chance = own.dropna(subset="rank").pivot_table("probability", "architecture", "rank")
        chance = chance.reindex(index=architectures, columns=ranks).to_numpy(float)
        ax.imshow(chance, cmap="cividis", norm=norm, aspect="auto")
        told = np.vectorize("{:.2f}".format)(chance)
        style.tell_shares(ax, chance, np.where(np.isnan(chance), "–", told))
        ax.set_xticks(range(len(ranks)), ranks)
        style.rows_of_architectures(ax, architectures, panel, marked)
        ax.grid(False)
    style.outer_labels(axes, "Rank (1 = most stable)", "Architecture")
    label = "Share of the resamples (0 to 1)"
    figure.colorbar(ScalarMappable(norm, "cividis"), ax=axes, label=label, aspect=40)
    one = table["seeds"].min() < 2
    note = "–: no value, because every map is blank, or a rank that is not given out. "
    note += "Patients resampled only: one seed." if one else "Seeds and patients resampled."
    style.legend(figure, [], [], note, marked)
    return figure
