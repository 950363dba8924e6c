"""How alike a checkpoint's maps of one class are: the C-Score, before and after fine-tuning.

After "The C-Score" (arXiv:2604.08502): soft IoU of every two films of a class that are classified
correctly, weighted by the confidence in both. That paper emphasises intensities in a way of its
own; here the maps are compared as `lib.drift.metrics.soft_iou` compares them.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib.attribution.arrays import blank_reason
from lib.attribution.maps import MapSet, correct
from lib.drift.metrics import compare
from lib.models.performance import true_probability
from lib.study.schema import TABLES


def c_score(maps: np.ndarray, confidence: np.ndarray) -> float:
    """Mean soft IoU over all pairs of maps, weighted by the product of their confidences.

    Of the maps (n, h, w) of one class, none of them blank, and the probabilities (n,) of that
    class; in [0, 1], NaN below two maps.
    """
    first, second = np.triu_indices(len(maps), k=1)
    if not len(first):
        return float("nan")
    alike = compare(maps[first], maps[second], metrics=["soft_iou"])["soft_iou"].to_numpy()
    return float(np.average(alike, weights=confidence[first] * confidence[second]))


def consistency_table(
    sets: dict[str, dict[str, MapSet]], checkpoints: Sequence[str], *, classes: Sequence[str]
) -> pd.DataFrame:
    """C-Score by architecture, checkpoint, layer, method and class.

    Parameters
    ----------
    sets : dict of architecture to dict of checkpoint to MapSet
    checkpoints : sequence of str
        Those that an architecture lacks are passed over.
    classes : sequence of str
        In the order of the maps' labels.

    Returns
    -------
    DataFrame
        ``architecture``, ``checkpoint``, ``role``, ``method``, ``label``, ``films`` (classified
        correctly), ``blank`` (maps among them without evidence, left out) and ``c_score``.
    """
    rows = []
    for architecture, of in sets.items():
        for checkpoint in (name for name in checkpoints if name in of):
            maps = of[checkpoint]
            confidence, right = true_probability(maps.logits, maps.label), correct(maps)
            for (role, method), stack in maps.maps.items():
                there = blank_reason(stack) == ""
                for index, label in enumerate(classes):
                    films = right & (maps.label == index)
                    scored = films & there
                    rows.append(
                        [architecture, checkpoint, role, method, label, int(films.sum()),
                         int((films & ~there).sum()), c_score(stack[scored], confidence[scored])]
                    )  # fmt: skip
    return pd.DataFrame(rows, columns=TABLES["consistency"].columns)
