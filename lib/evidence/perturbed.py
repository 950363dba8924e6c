"""Whether a map stays where a prediction stays, and follows where it changes.

A film is changed by what happens to films anyway: noise, less contrast, blur, each in several
strengths, so that some predictions stay and others do not. *Resistance* is how alike a map is
before and after where the prediction stays. *Relevance* is how much more it moves where the
prediction changes, under the same change of the film: 0 for a map that does not heed what is
predicted. Both are asked of saliency maps by Zhang, Chao, Dasegowda, Wang, Kalra & Yan (2024,
doi:10.1148/ryai.220221, as robustness and sensitivity), there by changes that an adversary seeks.
"""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
import pandas as pd

from lib.attribution.maps import MapSet
from lib.drift.metrics import soft_iou
from lib.evidence.changes import mean_of
from lib.study.seeds import derive

STRENGTHS = {"noise": (0.02, 0.1, 0.3), "contrast": (0.1, 0.5, 0.8), "blur": (0.005, 0.02, 0.06)}
"""Noise: its standard deviation in the range of grey levels. Contrast: the share of it that is
taken away. Blur: standard deviation of the Gaussian in sides of the film."""
_KEYS = ["architecture", "checkpoint", "role", "method"]


def perturbed(films: np.ndarray, *, seed: int) -> dict[str, np.ndarray]:
    """Films (n, size, size) of uint8, changed, by the change such as "noise 0.02"."""
    grey, size = np.asarray(films, np.float64), films.shape[1]
    found = {}
    for kind, strengths in STRENGTHS.items():
        for strength in strengths:
            if kind == "noise":
                draw = np.random.default_rng(derive(seed, kind, str(strength)))
                changed = grey + draw.normal(0, 255 * strength, grey.shape)
            elif kind == "contrast":
                mean = grey.mean(axis=(1, 2), keepdims=True)
                changed = mean + (1 - strength) * (grey - mean)
            else:
                blur = {"sigmaX": strength * size, "borderType": cv2.BORDER_REFLECT}
                changed = np.stack([cv2.GaussianBlur(film, (0, 0), **blur) for film in grey])
            found[f"{kind} {strength}"] = np.rint(np.clip(changed, 0, 255)).astype(np.uint8)
    return found


def compared(
    own: MapSet, changed: Mapping[str, MapSet],
    decided: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> pd.DataFrame:  # fmt: skip
    """Maps of films before and after each change.

    Parameters
    ----------
    own, changed : MapSet and mapping of str to MapSet
        Of films as they are, and of the same films, in their order, by the change.
    decided : callable
        ``(logits, classes) → predictions``, of any kind that can be compared.

    Returns
    -------
    DataFrame
        A row per layer, method, change and film: ``role``, ``method``, ``change``, ``image_id``,
        ``stays`` (whether the prediction does) and ``similarity``, the soft overlap of the two maps
        in [0, 1], NaN where one is blank.
    """
    before = decided(own.logits, own.explained_class)
    parts = [
        pd.DataFrame(
            {
                "role": role, "method": method, "change": change, "image_id": own.image_id,
                "stays": decided(maps.logits, own.explained_class) == before,
                "similarity": soft_iou(stack, maps.maps[role, method]),
            }
        )
        for change, maps in changed.items()
        for (role, method), stack in own.maps.items()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def table_of(pairs: pd.DataFrame, patients: Mapping[str, str]) -> pd.DataFrame:
    """Resistance and relevance of every kind of map.

    Parameters
    ----------
    pairs : DataFrame
        Of `compared`, with ``architecture`` and ``checkpoint``.

    Returns
    -------
    DataFrame
        A row per architecture, checkpoint, role and method: ``stay`` and ``change`` (pairs that are
        scored, by what became of the prediction), ``blank`` (pairs that are not), ``resistance`` in
        [0, 1] and ``relevance`` in [−1, 1], each with the limits ``…_low`` and ``…_high`` of its 95
        % interval over patients. Relevance is measured from the mean similarity of the maps whose
        predictions stay under the same change; NaN where no change has both.
    """
    rows = []
    for cell, part in pairs.groupby(_KEYS, sort=False):
        stays, patient = part["stays"], part["image_id"].map(patients)
        kept = part["similarity"].where(stays)
        level = part["change"].map(kept.groupby(part["change"]).mean())
        lost = (level - part["similarity"]).where(~stays)
        row = dict(zip(_KEYS, cell, strict=True))
        for name, count, values in (("resistance", "stay", kept), ("relevance", "change", lost)):
            found = mean_of(values, patient)
            row |= {count: found["n"], name: found["mean"]}
            row |= {f"{name}_{end}": found[end] for end in ("low", "high")}
        rows.append(row | {"blank": int(part["similarity"].isna().sum())})
    return pd.DataFrame(rows)
