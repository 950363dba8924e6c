"""Figures of the appendices: one film taken apart, readings of one formula, randomised weights."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lib.attribution.formulas import layercam
from lib.drift.metrics import metric_label
from lib.figures import style
from lib.figures.pictures import SIDE, ground, map_image, seen, unit
from lib.figures.style import ARCHITECTURE, SMALL
from lib.study.names import METHOD_TITLES, RANDOMISATION_STEPS
from lib.study.schema import require_columns


def strip(maps: Mapping[str, np.ndarray], *, title: str, film: np.ndarray | None = None) -> Figure:
    """Maps of one film side by side, each as U = M / max(M); a blank map says so.

    Parameters
    ----------
    maps : mapping of str to ndarray, shape (h, w)
        Maps ≥ 0 by caption.
    title : str
        "" for none.
    film : ndarray of uint8, shape (size, size), optional
        Shown first and under the maps.
    """
    shown = [*(() if film is None else [("Film", None)]), *maps.items()]
    figure, axes = style.panels(
        1, len(shown), width=max(4.5, 1.9 * len(shown)), height=1.9, title=title,
        margin=1.3 if title else 0.3,
    )  # fmt: skip
    for ax, (caption, values) in zip(axes[0], shown, strict=True):
        ground(ax, film)
        if values is not None:
            alpha = 1 if film is None else 0.6
            map_image(ax, unit(seen(values)), cmap="magma", vmin=0, vmax=1, alpha=alpha)
        ax.set_title(caption, fontsize=SMALL)
    return figure


def channels(
    activations: np.ndarray, gradients: np.ndarray, *, title: str, most: int = 3
) -> Figure:
    """How LayerCAM comes about: the channels that add most, and their sum.

    A row per channel: A, g and A·ReLU(g), every column in one colour range that is symmetric about
    0 (blue below, red above). The last row is the map, ReLU of the sum over all channels.

    Parameters
    ----------
    activations, gradients : ndarray of float, shape (h, w, K)
        A and g of one film at one layer.
    title : str
    most : int
        Channels that are shown.
    """
    parts = activations * np.maximum(gradients, 0)
    chosen = np.argsort(-np.abs(parts.sum(axis=(0, 1))), kind="stable")[:most]
    columns = {"A": activations, "g": gradients, "A · ReLU(g)": parts}
    figure, axes = style.panels(most + 1, 3, width=6.2, height=1.6, title=title)
    for j, (caption, values) in enumerate(columns.items()):
        limit = np.abs(values[..., chosen]).max() or 1.0
        for i, channel in enumerate(chosen):
            ground(axes[i, j], None)
            map_image(axes[i, j], values[..., channel], cmap="RdBu_r", vmin=-limit, vmax=limit)
            axes[i, 0].set_ylabel(f"channel\n{channel}", **SIDE)
        axes[0, j].set_title(f"{caption} (±{limit:.2g})", fontsize=SMALL)
    for ax in axes[-1, :2]:
        ax.set_visible(False)
    ground(axes[-1, 2], None)
    whole = layercam(activations[None], gradients[None])[0]
    map_image(axes[-1, 2], unit(seen(whole)), cmap="magma", vmin=0, vmax=1)
    axes[-1, 2].set_title(f"LayerCAM: all {activations.shape[-1]} channels", fontsize=SMALL)
    return figure


_LINES = ("-", "--", ":", "-.")
_MARKERS = "osDv"
_COLOURS = sns.color_palette("colorblind").as_hex()[5:]  # the first ones are the architectures'


def sensitivity(table: pd.DataFrame, *, metric: str = "iou_top20") -> Figure:
    """Mean of a drift metric by reading, a panel per layer and a marker per architecture.

    The table is that of `lib.drift.sensitivity`; the metric names the axis. A reading whose markers
    lie as those of the study's own reading changes nothing; one whose markers change places changes
    the ranking. What is blank for all films has no marker.
    """
    require_columns(table, ["role", "method", "blank"], "table")
    architectures = [name for name in ARCHITECTURE if name in table]
    roles = style.roles_present(table["role"])
    readings = list(dict.fromkeys(table["method"]))
    figure, axes = style.panels(
        1, len(roles), width=3.0 + 1.9 * len(roles), height=0.8 + 0.27 * len(readings), sharey=True,
        title="Drift from transfer to fine-tuned by the reading of the formula",
    )  # fmt: skip
    for role, ax in zip(roles, axes[0], strict=True):
        rows = table[table["role"] == role].set_index("method").reindex(readings)
        places = np.arange(len(readings))
        for name in architectures:
            look = ARCHITECTURE[name]
            ax.plot(rows[name], places, look.marker, color=look.colour, ms=6, mec="white", mew=0.6)
        ax.set(title=role, xlim=(-0.03, 1.03), ylim=(len(readings) - 0.5, -0.5))
        ax.set_xlabel(style.two_lines(metric_label(metric)), fontsize=SMALL)
        ax.set_yticks(places, readings, fontsize=SMALL)
    looks = [ARCHITECTURE[name] for name in architectures]
    handles = [Line2D([], [], ls="", marker=o.marker, color=o.colour, label=o.title) for o in looks]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _line(place: int) -> dict:
    """Look of the method in that place; colours 5 and up are no architecture's."""
    return {"ls": _LINES[place % 4], "color": _COLOURS[place % 5], "marker": _MARKERS[place % 4],
            "ms": 4}  # fmt: skip


def randomisation(table: pd.DataFrame) -> Figure:
    """Similarity to the intact map by depth of randomisation, a panel per layer and architecture.

    The table is one metric of `lib.drift.randomised.randomisation_summary`. Grey: maps of unrelated
    films under the intact network, from the lowest to the highest method. A line that ends above it
    belongs to a method that does not need what the network has learnt.
    """
    columns = ["architecture", "role", "method", "step", "metric", "mean", "low", "high"]
    require_columns(table, columns, "table")
    architectures = style.present(table["architecture"], ARCHITECTURE, "architecture")
    roles = style.roles_present(table["role"])
    methods = style.present(table["method"], METHOD_TITLES, "method")
    steps = [step for step in RANDOMISATION_STEPS if step in set(table["step"])]
    metric = table["metric"].iloc[0]
    figure, axes = style.panels(
        len(roles), len(architectures), width=2.5 + 2.5 * len(architectures), height=1.7,
        title="What is left of a map as the weights are randomised from the head down",
        sharex=True, sharey=True,
    )  # fmt: skip
    offsets = dict(zip(methods, np.linspace(-0.12, 0.12, len(methods)), strict=True))
    for (i, j), ax in np.ndenumerate(axes):
        panel = table[(table["role"] == roles[i]) & (table["architecture"] == architectures[j])]
        yardstick = panel.loc[~panel["step"].isin(steps), "mean"]
        if yardstick.notna().any():
            ax.axhspan(yardstick.min() - 0.005, yardstick.max() + 0.005, color="0.8", zorder=0)
        for place, method in enumerate(methods):
            rows = panel[panel["method"] == method].set_index("step").reindex(steps)
            x = np.arange(len(steps)) + offsets[method]
            mean, low, high = (rows[name].to_numpy() for name in ("mean", "low", "high"))
            ends = style.whiskers(mean, low, high, metric)
            ax.errorbar(x, mean, yerr=ends, elinewidth=1, **_line(place))
        ax.set_title(f"{roles[i]} · {ARCHITECTURE[architectures[j]].title}", fontsize=9)
        ax.set_xticks(range(len(steps)), steps, rotation=40, ha="right", fontsize=SMALL)
    figure.supylabel(metric_label(metric), fontsize=SMALL)
    handles = [Line2D([], [], **_line(place)) for place in range(len(methods))]
    labels = [*(METHOD_TITLES[method] for method in methods), "unrelated films, intact network"]
    note = "Whiskers: 95 % over patients, as far as values are possible."
    style.legend(figure, [*handles, Patch(color="0.8")], labels, note)
    return figure
