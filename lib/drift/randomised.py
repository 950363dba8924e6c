"""Sanity checks of the explainer: what is left of a map when the network forgets what it learnt.

Maps of a checkpoint are compared with maps of the same films after its weights were randomised from
the head down (Adebayo et al. 2018, arXiv:1810.03292). The yardstick are maps of two unrelated films
of one class under the intact checkpoint: a method that makes maps of one film more alike than that
without any learnt weight does not explain the network. Beside similarity stands the rise of the
entropy of the map's values, which needs no comparison of maps (eMPRT, Hedström et al. 2024,
arXiv:2401.06465).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import entr

from lib.attribution import arrays
from lib.attribution.maps import MapSet
from lib.drift import metrics
from lib.drift.pairings import unrelated_pairs
from lib.inference.contrasts import Estimate, contrast
from lib.inference.crossed import cells_from_pairs
from lib.study.names import RANDOMISATION_STEPS
from lib.study.schema import CELL

METRICS = ("iou_top20", "spearman", "ssim")
UNRELATED = "unrelated films"
MARGIN = 0.05
"""The largest excess over unrelated films that counts as none, in units of the metric."""
BINS = 10
"""Of the histogram of a map's values; few, because a map has as few as 25 values."""


def value_entropy(maps) -> np.ndarray:
    """Entropy of the histogram of each map's values, scaled to the map's own maximum.

    Of non-negative maps (N, h, w), shape (N,), in units of log(`BINS`): 0 if all values share a
    bin, 1 if they fill the bins equally. NaN where a map is all zero or not finite.
    """
    maps = arrays.checked(maps, "maps")
    usable = arrays.has_mass(maps)
    scaled = arrays.peak_normalised(maps[usable])
    places = np.minimum((scaled * BINS).astype(int), BINS - 1)
    counts = (places[:, :, None] == np.arange(BINS)).sum(axis=1)
    entropy = np.full(len(maps), np.nan)
    entropy[usable] = entr(counts / scaled.shape[1]).sum(axis=1) / np.log(BINS)
    return entropy


def randomisation_pairs(
    intact: MapSet, randomised: Mapping[str, MapSet], patients: Sequence[str], *,
    architecture: str, checkpoint: str, seed: int,
) -> pd.DataFrame:  # fmt: skip
    """Compare the maps of an intact checkpoint with those after each step of randomisation.

    Parameters
    ----------
    intact : MapSet
        Of the checkpoint as it is.
    randomised : mapping of step to MapSet
        The same films, by the steps of `lib.study.names.RANDOMISATION_STEPS` that were taken.
    patients : sequence of str, one per film
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
    pairs: pd.DataFrame, patients: pd.Series, *, metric: str = "iou_top20"
) -> pd.DataFrame:
    """Similarity by depth of randomisation, against that of unrelated films.

    Parameters
    ----------
    pairs : DataFrame
        Of `randomisation_pairs`, of one architecture or several.
    patients : Series
        Patient by image id.
    metric : str
        A similarity of `METRICS`.

    Returns
    -------
    DataFrame
        A row per architecture, role, method and step: ``step``, ``metric``, ``n``, ``blank``,
        ``mean``, ``low``, ``high``; ``excess``, ``excess_low``, ``excess_high`` over unrelated
        films; ``entropy_rise`` (mean); and after the last step ``finding``: "insensitive" (the
        excess is above 0 and not shown to be within `MARGIN`), "sensitive" (it is shown to be
        below it), "undecided", or "blank" (nothing to compare); empty at other steps. The 95 %
        intervals are over patients, for the checkpoint and the randomisation at hand.
    """
    cells = cells_from_pairs(pairs, patients, metric=metric)
    rows = []
    for name, part in pairs.groupby(CELL, sort=False, observed=True):
        row = dict(zip(("architecture", "method", "role", "step"), name, strict=True))
        scored = part[metric].notna()
        row |= {"metric": metric, "n": scored.sum(), "blank": (~scored).sum()}
        row |= _estimate(contrast(cells, {name: 1}), ("mean", "low", "high"))
        if row["step"] != UNRELATED:
            excess = contrast(cells, {name: 1, (*name[:3], UNRELATED): -1})
            row |= _estimate(excess, ("excess", "excess_low", "excess_high"))
            last = row["step"] == RANDOMISATION_STEPS[-1]
            found = _finding(row["excess_low"], row["excess_high"]) if last else ""
            row |= {"entropy_rise": part["entropy_rise"].mean(), "finding": found}
        rows.append(row)
    return pd.DataFrame(rows)


def _estimate(found: Estimate, names: tuple[str, str, str]) -> dict[str, float]:
    return dict(zip(names, map(float, (found.estimate, *found.interval())), strict=True))


def _finding(low: float, high: float) -> str:
    if np.isnan(low) or np.isnan(high):
        return "blank"
    if high < MARGIN:
        return "sensitive"
    return "insensitive" if low > 0 else "undecided"
