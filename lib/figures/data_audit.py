"""Figures of the audit: how far the probes come, and which measures differ by class."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from lib.data.audit.probes import DESCRIPTIONS
from lib.data.audit.summary import MEASURE_NAMES, by_class
from lib.figures.style import ARCHITECTURE, INK, ORANGE, SKY, STAGE, WIDTH
from lib.study.names import stage_of

NAMES = {"thumbnail_32": "thumbnails of 32 pixels"}
MARKS = (("o", SKY), ("s", ORANGE), ("D", "white"), ("^", INK))


def probe_bars(probes, performance=None) -> Figure:
    """Balanced accuracy of each probe with the standard deviation over its folds, beside chance.

    Those of `lib.data.audit.probes.linear_probe` by name. Trained networks are marked above the
    bars, a mark for the mean over the seeds of a stage.
    """
    names = sorted(probes, key=lambda name: probes[name]["balanced_accuracy"])
    networks = [] if performance is None else performance["architecture"].unique()
    rows = len(names) + len(networks)
    figure, axes = plt.subplots(figsize=(0.8 * WIDTH, 0.8 + 0.4 * rows), layout="constrained")
    titles = [probes[name].get("description", NAMES.get(name, name)) for name in names]
    values, spread = ([probes[name][key] for name in names] for key in ("balanced_accuracy", "sd"))
    looks = {"color": SKY, "edgecolor": INK, "ecolor": INK, "capsize": 3}
    axes.barh(titles, values, xerr=spread, **looks)
    if len(networks):
        stages = ["architecture", stage_of(performance["checkpoint"])]
        means = performance.groupby(stages, sort=False)["balanced_accuracy"].mean()
        for stage, values in means.groupby(level=1, sort=False):
            look, titles = STAGE[stage], [ARCHITECTURE[name].title for name, _ in values.index]
            axes.plot(values, titles, look.marker, color=look.colour, mec=INK, label=look.title)
        figure.legend(loc="outside lower center", ncols=len(STAGE))
    axes.axvline(probes[names[0]]["chance"], color=INK, linestyle="--")
    axes.set(xlim=(0, 1), xlabel="balanced accuracy on patients not seen (dashed: chance)")
    axes.set_title("What tells the classes apart without any disease?")
    plt.close(figure)
    return figure


def trial_dots(table) -> Figure:
    """Balanced accuracy of every probe on the films as they are and after each remedy.

    Of `lib.data.audit.trials.probe_trials`. Below the line are the controls, which hide a region.
    """
    table = table.sort_values("kind", ascending=False, kind="stable")
    trials = list(dict.fromkeys(table["trial"]))
    figure, axes = plt.subplots(figsize=(WIDTH, 1.6 + 0.36 * len(trials)), layout="constrained")
    for number, (probe, rows) in enumerate(table.groupby("probe", sort=False)):
        marker, colour = MARKS[number % len(MARKS)]
        # Beside one another: two equal marks would hide one.
        places = [trials.index(name) + 0.12 * (number - 1.5) for name in rows["trial"]]
        title = DESCRIPTIONS.get(probe, NAMES.get(probe, probe))
        axes.plot(rows["balanced_accuracy"], places, marker, color=colour, mec=INK, label=title)
    axes.axvline(table["chance"].iloc[0], color=INK, linestyle="--")
    axes.axhline(table.loc[table["kind"] == "remedy", "trial"].nunique() - 0.5, color=INK, lw=0.8)
    axes.set_yticks(range(len(trials)), trials)
    axes.set(xlim=(0, 1.01), ylim=(len(trials) - 0.5, -0.5))
    axes.set_xlabel("balanced accuracy on patients not seen (dashed: chance)")
    axes.set_title("How far a linear model comes before and after each remedy")
    figure.legend(loc="outside lower center", ncols=2)
    plt.close(figure)
    return figure


def measure_boxes(manifest, measures, *, most=4) -> Figure:
    """Boxes by class of the measures that differ most between the classes.

    Parameters
    ----------
    manifest, measures : DataFrame
        Of `lib.data.cache.build` and `lib.data.audit.measures.measure`, row by row.
    most : int
        Measures that are shown.
    """
    facts = by_class(manifest, measures)
    names = sorted(facts, key=lambda name: -facts[name]["effect"])[:most]
    sides = manifest[["width", "height"]]
    table = measures.assign(**sides, aspect=sides["width"] / sides["height"])
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
