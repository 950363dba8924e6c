"""Which maps are compared with which: the study's pairs of checkpoints and films.

``finetune``: transfer → each fine-tuned checkpoint. ``restarted``: the same from the second
transfer checkpoint. ``placebo``: transfer → each placebo. ``shuffled``: transfer → each training on
labels of other films. ``perturbed``: transfer → itself, moved as far as each fine-tuning in a
random direction.
``head_only``, ``features_only``: transfer → itself with the head, or the backbone, of each
fine-tuning. ``corrected``: transfer → each fine-tuning without the planted shortcut, where there
is one. ``finetune_seeds`` and ``transfer_seeds``: checkpoints that differ only in their seed.
``explainer``: the transfer checkpoint explained twice. ``randomised``: transfer → the same network
with all of its weights randomised. ``ceiling``: like ``finetune``, but each film is paired with
another patient's film of its class.

The audit of any two checkpoints has controls that need no training. ``change``: before → after;
``explainer``, ``randomised`` and ``ceiling`` with "before" in the place of transfer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod

import numpy as np
import pandas as pd

from lib.attribution import arrays
from lib.attribution.maps import MapSet, correct, require_same_films
from lib.drift import metrics as drift
from lib.study.names import MODES, OF_TUNED, TUNED_CONTROLS
from lib.study.schema import AUDIT_PAIRINGS, STRATA


@dataclass(frozen=True)
class Pairing:
    """One comparison of two checkpoints.

    The name is one of `PAIRINGS` or `AUDIT_PAIRINGS` of `lib.study.schema`; before and after are
    names of checkpoints.
    """

    name: str
    before: str
    after: str


def pairings(
    transfer_seeds: Sequence[int],
    seeds: Sequence[int],
    *,
    modes: Sequence[str] = MODES[:2],
    controls: Sequence[str] = (),
) -> list[Pairing]:
    """All pairings of a study with these seeds; stage two starts from the first transfer.

    Parameters
    ----------
    transfer_seeds, seeds : sequences of int
        Seeds of the transfer stage and of stage two.
    modes : sequence of str
        What stage two does, of `lib.study.names.MODES`.
    controls : sequence of str
        Of `lib.study.names.TUNED_CONTROLS`; others are modes.
    """
    kinds = (*modes, *(kind for control in controls for kind in TUNED_CONTROLS.get(control, ())))
    transfer = [f"transfer-s{seed}" for seed in transfer_seeds]
    tuned = [f"finetune-s{seed}" for seed in seeds]
    first = transfer_seeds[0]
    return [
        *(
            Pairing(kind, transfer[kind == "restarted"], f"{kind}-s{seed}")
            for kind in kinds
            for seed in seeds
        ),
        *(Pairing("finetune_seeds", *pair) for pair in combinations(tuned, 2)),
        *(Pairing("transfer_seeds", *pair) for pair in combinations(transfer, 2)),
        Pairing("explainer", transfer[0], f"repeat-s{first}"),
        Pairing("randomised", transfer[0], f"randomised-s{first}"),
        *(Pairing("ceiling", transfer[0], name) for name in tuned),
    ]


def audit_pairings() -> list[Pairing]:
    """The pairings of an audit of two checkpoints."""
    partner = {"explainer": "before_again", "randomised": "randomised"}
    return [Pairing(name, "before", partner.get(name, "after")) for name in AUDIT_PAIRINGS]


def unrelated_pairs(labels, patients, *, seed: int) -> np.ndarray:
    """Draw every image a partner of the same label and another patient: pairs for the ceiling.

    Within a label the partners are a random permutation wherever no patient has more than half of
    the images (only then does one exist); elsewhere they are drawn with replacement.

    Parameters
    ----------
    labels, patients : sequences of length N, without missing values
    seed : int

    Returns
    -------
    ndarray of shape (N,), int
        Index of the partner; -1 where all images of the label are of one patient.

    Raises
    ------
    ValueError
        If the lengths differ or a label or patient is missing.
    """
    arrays.require_same_shape(labels, patients, ("labels", "patients"))
    label, patient = pd.factorize(np.asarray(labels))[0], pd.factorize(np.asarray(patients))[0]
    for name, codes in (("labels", label), ("patients", patient)):
        if (codes < 0).any():
            raise ValueError(f"{name}: found {(codes < 0).sum()} missing; expected one per image.")
    generator = np.random.default_rng(seed)
    partner = np.full(len(label), -1)
    for code in range(label.max(initial=-1) + 1):
        members = np.flatnonzero(label == code)
        own = patient[members]
        if 2 * np.bincount(own).max() > len(members):
            for image in members:
                others = members[own != patient[image]]
                partner[image] = generator.choice(others) if len(others) else -1
            continue
        drawn = generator.permutation(len(members))
        for i in generator.permutation(np.flatnonzero(own[drawn] == own)):
            if own[drawn[i]] == own[i]:  # an earlier exchange may have settled it
                # Never empty: each condition excludes at most half, and both exclude i itself.
                j = generator.choice(np.flatnonzero((own != own[i]) & (own[drawn] != own[i])))
                drawn[i], drawn[j] = drawn[j], drawn[i]
        partner[members] = members[drawn]
    return partner


def partners(labels, patients, support: np.ndarray, *, seed: int) -> np.ndarray:
    """`unrelated_pairs`, each from the film's own support where there is one.

    A small support would otherwise lose most of its pairs. `support` is an integer per film, such
    as 0 outside, 1 in the architecture's own support, 2 in the common one as well.
    """
    partner = unrelated_pairs(3 * np.asarray(labels) + support, patients, seed=seed)
    anyone = unrelated_pairs(labels, patients, seed=seed)
    return np.where(partner < 0, anyone, partner)


def outcome_strata(correct_a, correct_b) -> np.ndarray:
    """One of `STRATA` per image: "rescued" is wrong at A and right at B, "lost" the reverse.

    Parameters
    ----------
    correct_a, correct_b : array of shape (N,), bool
        Whether checkpoints A and B classify the image correctly.

    Returns
    -------
    ndarray of shape (N,), str
    """
    a, b = np.asarray(correct_a, bool), np.asarray(correct_b, bool)
    return np.select([a & b, ~a & b, a & ~b], STRATA[:3], default=STRATA[3])


def compare_cells(
    sets: dict[str, MapSet],
    wanted: Sequence[Pairing],
    patients: Sequence[str],
    support: np.ndarray,
    *,
    seed: int,
) -> Iterator[pd.DataFrame]:
    """Compare one architecture's checkpoints, a data frame per pairing, role and method.

    Parameters
    ----------
    sets : dict of str to MapSet
        Maps by checkpoint name.
    wanted : sequence of Pairing
        Those whose checkpoints are missing from `sets` are passed over; see `missing`.
    patients : sequence of str, shape (n,)
        Patient of each film.
    support : ndarray of int, shape (n,)
        2 in the common support, 1 in the architecture's own, 0 outside; see `partners`.
    seed : int
        Seed of the choice of unrelated films.

    Yields
    ------
    DataFrame
        A row per film: ``pairing``, ``before``, ``after``, ``role``, ``method``, ``image_id``,
        ``partner_id`` (the film of the second map), ``stratum``, the drift metrics and ``blank``.
        `lib.drift.metrics.COSTLY` metrics are NaN outside the own support, on fine grids,
        and for controls of a fine-tuning, which are read by `unit_distance`.
    """
    require_same_films(sets)
    some = next(iter(sets.values()))
    partner, counted = partners(some.label, patients, support, seed=seed), support > 0
    for pairing in wanted:
        if missing([pairing], sets):
            continue
        a, b = sets[pairing.before], sets[pairing.after]
        costly = counted & (pairing.name not in OF_TUNED)
        first = second = np.arange(len(a.image_id))
        if pairing.name == "ceiling":
            first, second = first[partner >= 0], partner[partner >= 0]
        strata = outcome_strata(correct(a), correct(b))
        for role, method in a.maps:
            pair = a.maps[role, method][first], b.maps[role, method][second]
            metrics = _metrics(*pair, costly[first] & costly[second])
            yield pd.DataFrame(
                {
                    "pairing": pairing.name,
                    "before": pairing.before,
                    "after": pairing.after,
                    "role": role,
                    "method": method,
                    "image_id": a.image_id[first],
                    "partner_id": a.image_id[second],
                    "stratum": strata[first],
                }
            ).join(metrics)


def _metrics(maps_a: np.ndarray, maps_b: np.ndarray, costly: np.ndarray) -> pd.DataFrame:
    """All metrics; the costly ones on a coarse grid for these films, elsewhere NaN."""
    table = drift.compare(maps_a, maps_b, metrics=drift.QUICK)
    if prod(maps_a.shape[1:]) <= drift.COSTLY_CELLS:
        solved = drift.compare(maps_a[costly], maps_b[costly], metrics=drift.COSTLY)
        table = table.join(solved.drop(columns="blank").set_index(np.flatnonzero(costly)))
    return table.reindex(columns=[*drift.METRICS, "blank"])


def missing(wanted: Sequence[Pairing], sets: dict[str, MapSet]) -> list[Pairing]:
    """The pairings that cannot be made because a checkpoint has no maps."""
    return [pair for pair in wanted if not {pair.before, pair.after} <= set(sets)]
