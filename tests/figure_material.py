"""Tables and cases that figures are drawn from, and what every figure must obey."""

import itertools

import numpy as np
import pandas as pd

from lib.drift import cases
from lib.figures import style
from lib.study.architectures import ROLES
from lib.study.names import GRADIENT_METHODS

TWO_CELLS = ([[3.0, 1.0]], [[1.0, 3.0]])  # the masses differ by 0.5 in each cell
TWO_CELLS_LESS = ([[5.0, 3.0]], [[6.0, 2.0]])  # by 0.125


def texts(ax):
    return [text.get_text() for text in ax.texts]


def legend_texts(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


FIVE = ("finetune", "placebo", "finetune_seeds", "transfer_seeds", "ceiling")


def pairs_table(pairings=FIVE, **changes):
    """Every cell of the study with the scores 0.2, 0.4, 0.9 and one blank pair."""
    cells = itertools.product(style.ARCHITECTURE, GRADIENT_METHODS, ROLES, pairings)
    scores = [(0.2, ""), (0.4, ""), (0.9, np.nan), (np.nan, "b: all zero")]
    columns = ["architecture", "method", "role", "pairing", "iou_top20", "blank"]
    rows = [(*cell, *score) for cell in cells for score in scores]
    return pd.DataFrame(rows, columns=columns).assign(**changes)


def history_table():
    """Transfer keeps epoch 2 of 4, fine-tuning epoch 3 of 3."""
    runs = {"transfer-s0": ([1.5, 0.9, 1.0, 1.1], 2), "finetune-s1": ([0.8, 0.7, 0.6], 3)}
    return pd.concat(
        pd.DataFrame({"epoch": range(1, len(losses) + 1), "loss": losses}).assign(
            architecture="resnet50v2",
            checkpoint=checkpoint,
            train_loss=lambda rows: rows["loss"] - 0.1,
            macro_auc=lambda rows: 0.5 + 0.1 * rows["epoch"],
            kept=lambda rows, kept=kept: rows["epoch"] == kept,
        )
        for checkpoint, (losses, kept) in runs.items()
    )


def case(map_a, map_b, lesion=None):
    film = np.full((20, 20), 90, np.uint8)
    return cases.Case(film, np.array(map_a), np.array(map_b), lesion, "film-1 · p 0.6 → 0.9")


def assert_legible(figure):
    """At most 10 inches wide, and no text smaller than 8 points or clipped."""
    assert figure.get_figwidth() <= 10
    figure.draw_without_rendering()
    drawn, entries = list(figure.texts), []
    for ax in figure.axes:
        drawn += [ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts]
    for legend in figure.legends:
        entries += [legend.get_title(), *legend.get_texts()]
    assert min(text.get_fontsize() for text in [*drawn, *entries]) >= 8
    for item in (*figure.legends, *(text for text in drawn if text.get_text())):
        box = item.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0
        assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
