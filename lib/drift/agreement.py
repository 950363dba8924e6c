"""What two fine-tunings have in common beyond the checkpoint that they started from.

Maps F and F' of two seeds are alike because both resemble the map T of the transfer checkpoint.
What is left when T is taken out, the **partial agreement** r(F F' · T), is what fine-tuning does
whatever the seed. Seeds that wander independently from one start have none, so its null is 0; the
same measure against a map of another film (``partial_other``) says how much of it is not the
film's own. Fine-tunings from two transfer checkpoints are asked likewise, with both taken out.
"""

from collections.abc import Mapping, Sequence
from itertools import chain, combinations

import numpy as np
import pandas as pd

from lib.attribution.arrays import blank_reason, cells_of, peak_normalised
from lib.attribution.maps import MapSet
from lib.drift.pairings import partners
from lib.study.schema import TABLES

_CONSTANT = 1e-9
"""Share of a map's norm below which what is left of it counts as rounding."""


def partial_correlation(first, second, *given) -> np.ndarray:
    """Pearson correlation over cells of two maps when others are taken out of both, in [−1, 1].

    Parameters
    ----------
    first, second, *given : arrays of shape (N, h, w), non-negative

    Returns
    -------
    ndarray of shape (N,)
        NaN where a map is blank or is a linear function of those given, so that nothing is left of
        it.
    """
    usable = _usable(first, second, *given)
    cells = [cells_of(peak_normalised(maps[usable])) for maps in (first, second, *given)]
    left, right, *out = (each - each.mean(axis=1, keepdims=True) for each in cells)
    for place, direction in enumerate(out):
        for earlier in out[:place]:
            direction = out[place] = _without(direction, earlier, nothing=0)
        left, right = (_without(each, direction, nothing=np.nan) for each in (left, right))
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    values = np.full(len(usable), np.nan)
    values[usable] = np.clip(np.einsum("ij,ij->i", left, right) / norms, -1, 1)
    return values


def _usable(*stacks) -> np.ndarray:
    return np.all([blank_reason(maps) == "" for maps in stacks], axis=0)


def _without(cells: np.ndarray, given: np.ndarray, *, nothing: float) -> np.ndarray:
    """Residuals of the cells' regression on the given map; `nothing` where they are but rounding.

    A given map that is 0 takes nothing out.
    """
    norm = np.einsum("ij,ij->i", given, given)
    slope = np.einsum("ij,ij->i", cells, given) / np.where(norm > 0, norm, 1)
    left = cells - slope[:, None] * given
    left[np.linalg.norm(left, axis=1) < _CONSTANT * np.linalg.norm(cells, axis=1)] = nothing
    return left


def displacements(before, after) -> np.ndarray:
    """Way from one map to another, both of unit length and neither blank: shape (N, cells)."""
    maps = [peak_normalised(stack) for stack in (before, after)]
    unit = [cells / np.linalg.norm(cells, axis=1, keepdims=True) for cells in maps]
    return unit[1] - unit[0]


def seed_agreement(
    sets: dict[str, dict[str, MapSet]], patients: Sequence[str], own: Mapping[str, np.ndarray],
    *, transfer: str, tuned: Sequence[str], seed: int,
) -> pd.DataFrame:  # fmt: skip
    """Partial agreement of all pairs of fine-tunings, film by film.

    Parameters
    ----------
    sets : dict of architecture to dict of checkpoint to MapSet
        An architecture that lacks a checkpoint has the rows of those that it has.
    patients : sequence of str, shape (films,)
        Patient of each film.
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
    of = "seed_agreement", "finetune_seeds"
    return _agreement(
        *of, sets, patients, own, [[pair] for pair in combinations(tuned, 2)], [transfer], seed
    )


def start_agreement(
    sets: dict[str, dict[str, MapSet]], patients: Sequence[str], own: Mapping[str, np.ndarray],
    *, starts: Sequence[str], seeds: Sequence[int], seed: int,
) -> pd.DataFrame:  # fmt: skip
    """What fine-tunings from two transfer checkpoints have in common, film by film.

    Pairs of different seeds, so that neither the start nor the order of the films is shared; a row
    is the mean of a pair of seeds and of the same pair the other way round.

    Parameters
    ----------
    starts : sequence of str
        Names of the transfer checkpoints; the second is that of the restarted fine-tunings.
    seeds : sequence of int
        Of the fine-tunings.
    sets, patients, own, seed
        As in `seed_agreement`.

    Returns
    -------
    DataFrame
        As of `seed_agreement`, with ``pairing`` "starts" and both starts taken out in the partial
        agreement, and in units of `lib.drift.metrics.unit_distance`, NaN where one of the four maps
        is blank: ``moved`` (mean over both fine-tunings of the squared way from their start) and
        ``shared`` (scalar product of the two ways, whose mean is the squared way that does not
        depend on start and seed). Empty without restarted fine-tunings.
    """
    pairs = [
        [(f"finetune-s{a}", f"restarted-s{b}"), (f"finetune-s{b}", f"restarted-s{a}")]
        for a, b in combinations(seeds, 2)
    ]
    return _agreement("starts", "starts", sets, patients, own, pairs, starts[:2], seed)


def _agreement(table, pairing, sets, patients, own, pairs, starts, seed) -> pd.DataFrame:
    """Rows of a table: values are means over the pairs of a row, the first of which names it."""
    parts, common = [], np.all([*own.values()], axis=0)
    for architecture, of in sets.items():
        if not {*starts} <= {*of}:
            continue
        some = of[starts[0]]
        other = partners(some.label, patients, own[architecture] + 1 * common, seed=seed)
        facts = {
            "architecture": architecture, "pairing": pairing, "image_id": some.image_id,
            "partner_id": some.image_id, "common": common, "own": own[architecture],
        }  # fmt: skip
        for alike in (row for row in pairs if {*chain(*row)} <= {*of}):
            names = dict(zip(("before", "after"), alike[0], strict=True))
            for role, method in some.maps:
                before = [of[name].maps[role, method] for name in starts]
                found = [
                    _agreed([of[name].maps[role, method] for name in pair], before, other)
                    for pair in alike
                ]
                told = {key: np.mean([each[key] for each in found], axis=0) for key in found[0]}
                kind = {"role": role, "method": method}
                parts.append(pd.DataFrame(facts | names | kind | told))
    columns = TABLES[table].columns
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _agreed(tuned: list[np.ndarray], starts: list[np.ndarray], other: np.ndarray) -> dict:
    """Measures of two fine-tunings' maps, given those of their starts, and other films' places."""
    beside = partial_correlation(tuned[0], tuned[1][np.where(other >= 0, other, 0)], *starts)
    found = {
        "partial": partial_correlation(*tuned, *starts),
        "partial_other": np.where(other >= 0, beside, np.nan),
    }
    if len(starts) == 2:
        usable = _usable(*starts, *tuned)
        ways = zip(starts, tuned, strict=True)
        first, second = (displacements(a[usable], b[usable]) for a, b in ways)
        found |= {name: np.full(len(usable), np.nan) for name in ("shared", "moved")}
        found["shared"][usable] = np.einsum("ij,ij->i", first, second)
        found["moved"][usable] = np.square([first, second]).sum(axis=2).mean(axis=0)
    return found
