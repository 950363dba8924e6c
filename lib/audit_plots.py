"""Figures of the audit: how far the probes come, and which measures differ by class."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from lib.audit import MEASURE_NAMES
from lib.confounding import by_class
from lib.looks import INK, SKY, WIDTH

NAMES = {"thumbnail_32": "thumbnails of 32 pixels"}


def probe_bars(probes) -> Figure:
    """Balanced accuracy of each probe with the standard deviation over its folds, beside chance.

    Parameters
    ----------
    probes : dict of str to dict
        Of `lib.probes.linear_probe`, by name.
    """
    names = sorted(probes, key=lambda name: probes[name]["balanced_accuracy"])
    figure, axes = plt.subplots(figsize=(0.8 * WIDTH, 0.8 + 0.4 * len(names)), layout="constrained")
    values = [probes[name]["balanced_accuracy"] for name in names]
    axes.barh(
        [probes[name].get("description", NAMES.get(name, name)) for name in names],
        values,
        xerr=[probes[name]["sd"] for name in names],
        color=SKY,
        edgecolor=INK,
        ecolor=INK,
        capsize=3,
    )
    axes.axvline(probes[names[0]]["chance"], color=INK, linestyle="--")
    axes.set(xlim=(0, 1), xlabel="balanced accuracy on patients not seen (dashed: chance)")
    axes.set_title("What tells the classes apart without any disease?")
    plt.close(figure)
    return figure


def measure_boxes(manifest, measures, *, most=4) -> Figure:
    """Boxes by class of the measures that differ most between the classes.

    Parameters
    ----------
    manifest, measures : pandas.DataFrame
        See `lib.confounding.by_class`.
    most : int
        Number of measures.
    """
    facts = by_class(manifest, measures)
    names = sorted(facts, key=lambda name: -facts[name]["effect"])[:most]
    table = measures.assign(
        width=manifest["width"],
        height=manifest["height"],
        aspect=manifest["width"] / manifest["height"],
    )
    parts = dict(iter(table.groupby(manifest["label"])))
    labels = [label.replace("_", " ") for label in parts]
    figure, axes = plt.subplots(1, most, figsize=(WIDTH, 3), sharey=True, layout="constrained")
    for axis, name in zip(np.atleast_1d(axes), names, strict=True):
        axis.boxplot(
            [part[name] for part in parts.values()], manage_ticks=False, patch_artist=True,
            orientation="horizontal", boxprops={"facecolor": SKY}, medianprops={"color": INK},
            flierprops={"markersize": 1.5}, widths=0.7,
        )  # fmt: skip
        axis.set_yticks(range(1, len(labels) + 1), labels)
        axis.set_ylim(len(labels) + 0.6, 0.4)
        title = MEASURE_NAMES.get(name, "width / height")
        axis.set(xlabel=title, title=f"epsilon squared {facts[name]['effect']:.2f}")
    plt.close(figure)
    return figure
