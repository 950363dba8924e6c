"""What two fine-tunings have in common beyond the checkpoint that they started from.

Maps F and F' of two seeds are alike because both resemble the map T of the transfer checkpoint.
What is left when T is taken out, the **partial agreement** r(F F' · T), is what fine-tuning does
whatever the seed. Seeds that wander independently from one start have none, so its null is 0; the
same measure against a map of another film (``partial_other``) says how much of it is not the
film's own.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from lib.attribution.arrays import blank_reason, cells_of, peak_normalised
from lib.attribution.maps import MapSet
from lib.drift.pairings import partners
from lib.study.schema import TABLES

_CONSTANT = 1e-9
"""Share of a map's norm below which what is left of it counts as rounding."""


def partial_correlation(first, second, given) -> np.ndarray:
    """Pearson correlation over cells of two maps when a third is taken out of both, in [−1, 1].

    Of non-negative stacks (N, h, w), shape (N,): NaN where a map is blank or a linear function of
    `given`, so that nothing is left of it.
    """
    stacks = first, second, given
    usable = np.all([blank_reason(maps) == "" for maps in stacks], axis=0)
    cells = [cells_of(peak_normalised(maps[usable])) for maps in stacks]
    *both, start = (each - each.mean(axis=1, keepdims=True) for each in cells)
    left, right = (_without(each, start) for each in both)
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    values = np.full(len(usable), np.nan)
    with np.errstate(invalid="ignore"):
        values[usable] = np.clip(np.einsum("ij,ij->i", left, right) / norms, -1, 1)
    return values


def _without(cells: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Residuals of the cells' regression on the given map; NaN where they are but rounding."""
    slope = np.einsum("ij,ij->i", cells, given) / np.einsum("ij,ij->i", given, given)
    left = cells - slope[:, None] * given
    nothing = np.linalg.norm(left, axis=1) < _CONSTANT * np.linalg.norm(cells, axis=1)
    left[nothing] = np.nan
    return left


def seed_agreement(
    sets: dict[str, dict[str, MapSet]], patients: Sequence[str], own: Mapping[str, np.ndarray],
    *, transfer: str, tuned: Sequence[str], seed: int,
) -> pd.DataFrame:  # fmt: skip
    """Partial agreement of all pairs of fine-tunings, film by film.

    Parameters
    ----------
    sets : dict of architecture to dict of checkpoint to MapSet
        An architecture that lacks a checkpoint has the rows of those that it has.
    own : mapping of architecture to ndarray of bool, shape (films,)
        The architecture's own support.
    transfer, tuned : str and sequence of str
        The checkpoint that all fine-tunings started from, and these.
    seed : int
        Of the choice of other films: as in `lib.drift.pairings.compare_cells`.

    Returns
    -------
    DataFrame
        ``architecture``, ``method``, ``role``, ``pairing`` ("finetune_seeds"), ``before``,
        ``after``, ``image_id``, ``partner_id`` (the film itself), ``common``, ``own``, ``partial``,
        ``partial_other`` (the second map is another film of the class). Empty with one seed.
    """
    parts, common = [], np.all([*own.values()], axis=0)
    for architecture, of in sets.items():
        if transfer not in of:
            continue
        start = of[transfer]
        other = partners(start.label, patients, own[architecture] + 1 * common, seed=seed)
        known = np.where(other >= 0, other, 0)
        for before, after in combinations([name for name in tuned if name in of], 2):
            for (role, method), given in start.maps.items():
                first, second = (of[name].maps[role, method] for name in (before, after))
                beside = partial_correlation(first, second[known], given)
                facts = {
                    "architecture": architecture, "method": method, "role": role,
                    "pairing": "finetune_seeds", "before": before, "after": after,
                    "image_id": start.image_id, "partner_id": start.image_id,
                    "common": common, "own": own[architecture],
                    "partial": partial_correlation(first, second, given),
                    "partial_other": np.where(other >= 0, beside, np.nan),
                }  # fmt: skip
                parts.append(pd.DataFrame(facts))
    columns = TABLES["seed_agreement"].columns
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
