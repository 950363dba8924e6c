"""Figures of training, from tables and without computing: learning curves, scores and confusions.

What is compared shares its axis or colour range; colours are those of `lib.figures.style`. A table
without a column that is needed, or with a value that has no look, is refused with a ValueError.
"""

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from lib.figures import style
from lib.figures.style import ARCHITECTURE, INK, STAGE
from lib.study.names import stage_of
from lib.study.schema import require_columns


def learning_curves(history: pd.DataFrame) -> Figure:
    """Loss and validation macro AUC by epoch; transfer and fine-tuning in panels of their own.

    "loss" and "macro_auc" are those of the validation films.
    """
    columns = ["architecture", "checkpoint", "epoch", "train_loss", "loss", "macro_auc", "kept"]
    require_columns(history, columns, "history")
    architectures = style.present(history["architecture"], ARCHITECTURE, "architecture")
    history = history.assign(stage=stage_of(history["checkpoint"]))
    stages = style.present(history["stage"], STAGE, "checkpoint")
    first = history["stage"] == "transfer"
    parts = [
        (f"{ARCHITECTURE[name].title}\n{title}", part)
        for name in architectures
        for title, chosen in (("transfer", first), ("fine-tuning", ~first))
        if not (part := history[(history["architecture"] == name) & chosen]).empty
    ]
    figure, axes = style.panels(
        2, len(parts), width=max(5, 0.8 + 1.8 * len(parts)), height=2.5, sharex="col",
        sharey="row", title="How did the classifiers learn?",
    )  # fmt: skip
    for ax in axes.flat:
        ax.margins(x=0.1)
    for column, (title, part) in zip(axes.T, parts, strict=True):
        for (stage, _), rows in part.sort_values("epoch").groupby(["stage", "checkpoint"]):
            look, kept = STAGE[stage], rows[rows["kept"].astype(bool)]
            line = {"color": look.colour, "marker": ".", "markersize": 3, "linewidth": 1.4}
            column[0].plot(rows["epoch"], rows["train_loss"], **line | {"linestyle": "--"})
            for ax, quantity in zip(column, ("loss", "macro_auc"), strict=True):
                ax.plot(rows["epoch"], rows[quantity], **line)
                ax.plot(kept["epoch"], kept[quantity], **style.dot(look, zorder=3))
        column[0].set_title(title, fontsize=9)
        column[1].set_xlabel("Epoch")
        column[1].xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    axes[0, 0].set_ylabel("Cross-entropy loss (nats)")
    axes[1, 0].set_ylabel("Validation macro AUC\n(0.5 = chance)")
    handles, labels = style.key(STAGE, stages, linestyle="-")
    handles += [Line2D([], [], color=INK, linestyle=line) for line in ("-", "--")]
    note = "A line per seed; the large marker is the epoch kept."
    style.legend(figure, handles, [*labels, "validation", "training"], note)
    return figure


def confusions(table: pd.DataFrame) -> Figure:
    """Confusion matrices: films by true and predicted class, a panel per checkpoint.

    Rows left out count 0, and classes follow the order of first appearance in "true".
    """
    require_columns(table, ["architecture", "checkpoint", "true", "predicted", "count"], "table")
    architectures = style.present(table["architecture"], ARCHITECTURE, "architecture")
    checkpoints = list(dict.fromkeys(table["checkpoint"]))
    classes = list(dict.fromkeys([*table["true"], *table["predicted"]]))
    names = [name.replace("_", " ") for name in classes]
    figure, axes = style.panels(
        len(checkpoints), len(architectures), width=max(4.5, 1.6 + 2.7 * len(architectures)),
        height=2.7, title="Which classes are taken for which?", sharex=True, sharey=True,
    )  # fmt: skip
    figure.set_layout_engine("compressed")  # squares keep their shape, and labels their place
    norm = Normalize(0, 1)
    for (i, j), ax in np.ndenumerate(axes):
        chosen = table["checkpoint"] == checkpoints[i]
        chosen &= table["architecture"] == architectures[j]
        counts = table[chosen].pivot_table("count", "true", "predicted", aggfunc="sum")
        counts = counts.reindex(index=classes, columns=classes).fillna(0).to_numpy()
        ax.set_title(f"{ARCHITECTURE[architectures[j]].title}\n{checkpoints[i]}", fontsize=9)
        ax.set_xticks(range(len(classes)), names, rotation=90)
        ax.set_yticks(range(len(classes)), names)
        ax.grid(False)
        totals = counts.sum(axis=1, keepdims=True)
        shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
        ax.imshow(shares, cmap="cividis", norm=norm)
        style.tell_shares(ax, shares, np.vectorize("{:g}".format)(counts))
    style.outer_labels(axes, "Predicted class", "True class")
    bar = ScalarMappable(norm, "cividis")
    figure.colorbar(bar, ax=axes, label="Share of the true class (0 to 1)", aspect=40)
    return figure


def performance(table: pd.DataFrame) -> Figure:
    """Macro AUC and balanced accuracy of every checkpoint on the test films."""
    labels = {
        "macro_auc": "Macro AUC, test films (0.5 = chance)",
        "balanced_accuracy": "Balanced accuracy, test films (0 to 1)",
    }
    require_columns(table, ["architecture", "checkpoint", *labels], "table")
    architectures = style.present(table["architecture"], ARCHITECTURE, "architecture")
    stage = stage_of(table["checkpoint"])
    stages = style.present(stage, STAGE, "checkpoint")
    height = 0.5 + 0.55 * len(architectures)
    figure, axes = style.panels(
        1, 2, width=8, height=height, title="How well do they classify?", sharey=True
    )
    place = table["architecture"].map(architectures.index)
    for ax, (quantity, label) in zip(axes[0], labels.items(), strict=True):
        for name, offset in zip(stages, style.slots(len(stages), 0.75), strict=True):
            chosen = stage == name
            ax.plot(table.loc[chosen, quantity], place[chosen] + offset, **style.dot(STAGE[name]))
        ax.set_xlabel(label)
        ax.xaxis.set_major_locator(MaxNLocator(6))
        style.rows_of_architectures(ax, architectures)
    axes[0, 0].set_ylabel("Architecture")
    style.legend(figure, *style.key(STAGE, stages), "A dot per checkpoint (seed).")
    return figure
