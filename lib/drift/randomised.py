"""Sanity checks of the explainer: what is left of a map when the network forgets what it learnt.

Maps of a checkpoint are compared with maps of the same films after its weights were randomised from
the head down (Adebayo et al. 2018, arXiv:1810.03292). The yardstick are maps of two unrelated films
of one class under the intact checkpoint: a method that makes maps of one film more alike than that
without any learnt weight does not explain the network. Beside similarity stands the rise of the
entropy of the map's values, which needs no comparison of maps (eMPRT, Hedström et al. 2024,
arXiv:2401.06465).
"""

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
import pandas as pd
from scipy.special import entr

from lib.attribution import arrays
from lib.attribution.maps import MapSet
from lib.drift import metrics
from lib.drift.pairings import unrelated_pairs
from lib.inference.contrasts import contrast
from lib.inference.crossed import cells_from_pairs
from lib.study.names import RANDOMISATION_STEPS
from lib.study.schema import CELL

METRICS = ("iou_top20", "spearman", "ssim")
UNRELATED = "unrelated films"


def value_entropy(maps, *, bins: int = 10) -> np.ndarray:
    """Entropy of the histogram of each map's values, scaled to the map's own maximum.

    Parameters
    ----------
    maps : array of shape (N, h, w), non-negative
    bins : int
        Equal bins over [0, 1]. Ten, because a map has as few as 25 values.

    Returns
    -------
    ndarray of shape (N,), float64 in [0, 1]
        In units of log(bins): 0 if all values share a bin, 1 if they fill the bins equally. NaN
        where a map is all zero or not finite.
    """
    maps = np.asarray(maps, dtype=float)
    usable = np.isin(arrays.blank_reason(maps), ["", "constant"])
    values = maps[usable].reshape(usable.sum(), prod(maps.shape[1:]))  # -1 fails without maps
    scaled = values / values.max(axis=1, keepdims=True)
    places = np.minimum((scaled * bins).astype(int), bins - 1)
    counts = (places[:, :, None] == np.arange(bins)).sum(axis=1)
    entropy = np.full(len(maps), np.nan)
    entropy[usable] = entr(counts / values.shape[1]).sum(axis=1) / np.log(bins)
    return entropy


def randomisation_pairs(
    intact: MapSet,
    randomised: Mapping[str, MapSet],
    patients: Sequence[str],
    *,
    architecture: str,
    checkpoint: str,
    seed: int,
) -> pd.DataFrame:
    """Compare the maps of an intact checkpoint with those after each step of randomisation.

    Parameters
    ----------
    randomised : mapping of step to MapSet
        The same films, by the steps of `lib.study.names.RANDOMISATION_STEPS` that were taken.
    patients : sequence of str, shape (films,)
    architecture, checkpoint : str
        Names for the table; the checkpoint's ends in its seed.
    seed : int
        Of the choice of unrelated films.

    Returns
    -------
    DataFrame
        A row per film, role, method and step, laid out as ``tables/pairs.csv``; ``pairing`` is the
        step, or `UNRELATED`. With `METRICS`, ``blank``, and ``entropy_rise``: the relative change
        of `value_entropy` from the intact map, NaN for unrelated films.
    """
    partner = unrelated_pairs(intact.label, patients, seed=seed)
    own = np.arange(len(partner))
    related = [(step, maps, own, own) for step, maps in randomised.items()]
    has = partner >= 0
    parts = []
    for step, maps, first, second in [*related, (UNRELATED, intact, own[has], partner[has])]:
        for role, method in intact.maps:
            a, b = intact.maps[role, method][first], maps.maps[role, method][second]
            before, after = value_entropy(a), value_entropy(b)
            rise = np.divide(after - before, before, out=np.full(len(a), np.nan), where=before > 0)
            facts = {
                **{"architecture": architecture, "method": method, "role": role, "pairing": step},
                **{"before": checkpoint, "after": checkpoint},
                "image_id": intact.image_id[first],
                "partner_id": intact.image_id[second],
                "entropy_rise": np.nan if step == UNRELATED else rise,
            }
            parts.append(pd.DataFrame(facts).join(metrics.compare(a, b, metrics=METRICS)))
    return pd.concat(parts, ignore_index=True)


def randomisation_summary(
    pairs: pd.DataFrame,
    patients: pd.Series,
    *,
    metric: str = "iou_top20",
    margin: float = 0.05,
    level: float = 0.95,
) -> pd.DataFrame:
    """Similarity by depth of randomisation, against that of unrelated films.

    Parameters
    ----------
    pairs : DataFrame
        Of `randomisation_pairs`, of one architecture or several.
    patients : Series
        Patient by image id.
    metric : str
        One of `METRICS`.
    margin : float
        The largest excess over unrelated films that counts as none, in units of the metric.
    level : float in (0, 1)
        Of the intervals: over patients, for the checkpoint and the randomisation at hand.

    Returns
    -------
    DataFrame
        A row per architecture, role, method and step: ``step``, ``metric``, ``n``, ``blank``,
        ``mean``, ``low``, ``high``; ``excess``, ``excess_low``, ``excess_high`` over unrelated
        films; ``entropy_rise`` (mean); and after the last step ``finding``: "insensitive" (the
        excess is above 0 and not shown to be within the margin), "sensitive" (it is shown to be
        below the margin), "undecided", or "blank" (nothing to compare); empty at other steps.
    """
    cells = cells_from_pairs(pairs, patients, metric=metric)
    rows = []
    for name, part in pairs.groupby(CELL, sort=False, observed=True):
        step, unrelated = name[-1], (*name[:3], UNRELATED)
        own = contrast(cells, {name: 1})
        excess = contrast(cells, {name: 1, unrelated: -1}) if step != UNRELATED else None
        row = dict(zip(("architecture", "method", "role", "step"), name, strict=True))
        row |= {"metric": metric, "n": int(part[metric].notna().sum())}
        row |= {"blank": int(part[metric].isna().sum()), "mean": float(own.estimate)}
        row |= dict(zip(("low", "high"), map(float, own.interval(level)), strict=True))
        if excess:
            low, high = map(float, excess.interval(level))
            row |= {"excess": float(excess.estimate), "excess_low": low, "excess_high": high}
            row |= {"entropy_rise": part["entropy_rise"].mean()}
            row |= {
                "finding": _finding(low, high, margin) if step == RANDOMISATION_STEPS[-1] else ""
            }
        rows.append(row)
    return pd.DataFrame(rows)


def _finding(low: float, high: float, margin: float) -> str:
    if np.isnan(low) or np.isnan(high):
        return "blank"
    if high < margin:
        return "sensitive"
    return "insensitive" if low > 0 else "undecided"
