"""Estimates with intervals for all cells of a study, beyond those that decide a hypothesis.

They describe: none is corrected for the number of tests, and a cell stands with its counts even
where it has no value. Decisions are those of `lib.hypotheses.verdicts` alone.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lib.drift.metrics import SIMILARITIES
from lib.hypotheses.answers import BLANK_SHARE
from lib.hypotheses.observations import NO_PAIRS, Observations
from lib.inference.contrasts import Estimate, contrast, ratio_of_contrasts, retained_evidence
from lib.inference.crossed import CrossedCells
from lib.study.names import label
from lib.study.schema import COUNTS, ESTIMATE, TABLES

KEYS = ["architecture", "method", "role"]
CONTRASTS = {
    "placebo − finetune": ("placebo", "finetune"),
    "seed floor − finetune": ("finetune_seeds", "finetune"),
    "finetune − ceiling": ("finetune", "ceiling"),
    "placebo − ceiling": ("placebo", "ceiling"),
}
"""Differences of the metric's means, first less second."""


def retained_table(
    observed: Observations,
    *,
    metrics: Sequence[str] = SIMILARITIES,
    level: float = 0.95,
    pairings: tuple[str, str, str] = ("finetune", "placebo", "ceiling"),
) -> pd.DataFrame:
    """Retained evidence R by architecture, method, role and similarity.

    Parameters
    ----------
    observed : Observations
    metrics : sequence of str
        Similarities; those that the pairs do not have are left out.
    level : float
        Coverage of the intervals, in (0, 1).
    pairings : tuple of str
        What is judged, and the pairings for which R is 1 and 0.

    Returns
    -------
    DataFrame
        `KEYS`, ``metric``, ``estimate`` (1 = no more drift than the placebo, 0 = as different as
        unrelated films; NaN where a cell has no value), ``se`` (infinite, and the interval with it,
        where the placebo is not above the ceiling), ``se_patients``, ``se_seeds``, ``df``,
        ``low``, ``high``, ``seed_level``, and films, patients, seeds, pairs and blank pairs of the
        fine-tuned cell.
    """
    rows = []
    for metric in (name for name in metrics if name in observed.pairs):
        for cell in _cells(observed, pairings[0]):
            parts = zip(("tuned", "placebo", "ceiling"), pairings, strict=True)
            names = {part: (*cell, pairing) for part, pairing in parts}
            cells = observed.known(metric, names.values())
            found = NO_PAIRS if cells is None else retained_evidence(cells, **names)
            counts = observed.counts(metric, names["tuned"]).values()
            rows.append([*cell, metric, *_described(found, level), *counts])
    return pd.DataFrame(rows, columns=[*KEYS, "metric", *ESTIMATE, *COUNTS])


def difference_table(
    observed: Observations, *, metrics: Sequence[str], level: float = 0.95
) -> pd.DataFrame:
    """The `CONTRASTS` of every architecture, method and role.

    Parameters
    ----------
    observed, level
        As in `retained_table`.
    metrics : sequence of str
        Drift metrics.

    Returns
    -------
    DataFrame
        `KEYS`, ``metric``, ``contrast``, the columns of an estimate as in `retained_table`,
        ``p_value`` (two-sided, against 0, not corrected), films, patients, seeds, pairs and blank
        pairs: of the smaller side, pairs and blank summed.
    """
    rows = []
    for metric in metrics:
        for cell in _cells(observed, "finetune"):
            for title, pairings in CONTRASTS.items():
                names = [(*cell, pairing) for pairing in pairings]
                if not set(names) <= set(observed.names):
                    continue
                found = observed.estimate(metric, dict(zip(names, (1, -1), strict=True)))
                told = *_described(found, level), float(found.p_value())
                counts = observed.counts(metric, *names).values()
                rows.append([*cell, metric, title, *told, *counts])
    columns = [*KEYS, "metric", "contrast", *ESTIMATE, "p_value", *COUNTS]
    return pd.DataFrame(rows, columns=columns)


def support_sensitivity(by_support: Mapping[str, Observations]) -> pd.DataFrame:
    """Retained evidence on each support: what changes with the films that count.

    Returns
    -------
    DataFrame
        ``support`` and the columns of `retained_table`, for the primary metric.
    """
    tables = [
        retained_table(observed, metrics=["iou_top20"]).assign(support=name)
        for name, observed in by_support.items()
    ]
    return pd.concat(tables, ignore_index=True)[TABLES["supports"].columns]


DECOMPOSITION = {
    "placebo": ({"placebo": 1}, None),
    "systematic": ({"finetune": 1, "finetune_seeds": -0.5}, None),
    "seed_specific": ({"finetune_seeds": 0.5}, None),
    "unrelated": ({"ceiling": 1}, None),
    "systematic_share": ({"finetune": 1, "finetune_seeds": -0.5}, {"finetune": 1}),
    "way_to_unrelated": ({"finetune": 1, "placebo": -1}, {"ceiling": 1, "placebo": -1}),
    "random_share": ({"perturbed": 1}, {"finetune": 1}),
    "shuffled_share": ({"shuffled": 1}, {"finetune": 1}),
}
"""Parts of the drift, in squared distances d of maps of unit length, by pairing; then ratios.

For one film, T of transfer and F_s of fine-tuning with seed s, E d(F_s, T) = ‖μ − T‖² + V with
μ = E F_s and V = ½ E d(F_s, F_s'): what all seeds share, and what each seed adds."""
_HEAD = {"finetune": 0.5, "head_only": 0.5, "features_only": -0.5}
SWAPS = {
    "head": (_HEAD, None),
    "features": ({"finetune": 0.5, "head_only": -0.5, "features_only": 0.5}, None),
    "head_share": (_HEAD, {"finetune": 1}),
}
"""Likewise, by what was exchanged. The distance from T can be walked in two orders, the head first
or the features first; each part is what its step adds, averaged over both (the Shapley value of two
players), so that the parts add to the drift of fine-tuning exactly."""


def decomposition_table(
    observed: Observations, *, parts: Mapping[str, tuple] = DECOMPOSITION, level: float = 0.95
) -> pd.DataFrame:
    """What drift is made of: what all seeds share, and what each of them adds.

    Parameters
    ----------
    observed, level
        As in `retained_table`.
    parts : mapping of str to tuple
        `DECOMPOSITION`, or `SWAPS` for what comes with the head and what with the features.

    Returns
    -------
    DataFrame
        `KEYS`, ``part`` (a key of `parts`), the columns of an estimate as in
        `retained_table`, films, patients, seeds, pairs and blank pairs. The parts are distances in
        [0, 2] whose ``systematic`` and ``seed_specific`` add to the drift of fine-tuning;
        ``systematic_share`` is the first of them over their sum, and ``way_to_unrelated`` is 0 for
        the placebo and 1 for maps of unrelated films; ``random_share`` is how far the maps move,
        as a share of that drift, where the weights move as far in a random direction. ``head`` and
        ``features`` add to the drift too, and one of them is negative where it takes back what the
        other moves. Parts of pairings that were not compared are left out. The systematic share
        of networks that wander independently from one start is not 0: see `lib.drift.agreement`
        for a measure whose null is 0.
    """
    metric, rows = "unit_distance", []
    for cell in _cells(observed, "finetune") if metric in observed.pairs else []:
        for part, (numerator, denominator) in parts.items():
            over, under = (
                {(*cell, pairing): weight for pairing, weight in (given or {}).items()}
                for given in (numerator, denominator)
            )
            names = list(dict.fromkeys((*over, *under)))
            if not set(names) <= set(observed.names):
                continue
            cells = observed.known(metric, names)
            if cells is None:
                found = NO_PAIRS
            elif under:
                found = ratio_of_contrasts(cells, over, under)
            else:
                found = observed.estimate(metric, over)
            counts = observed.counts(metric, *names).values()
            rows.append([*cell, part, *_described(found, level), *counts])
    return pd.DataFrame(rows, columns=[*KEYS, "part", *ESTIMATE, *COUNTS])


_PARTIAL = ("partial", "partial_other")
_CLAUSES = {
    "start_share": "; {} of it is the same from another transfer checkpoint too",
    "random_share": "; weights moved as far in a random direction give {} of it",
    "shuffled_share": "; as many steps on shuffled labels give {} of it",
    "head_share": "; {} of it comes with the head, the rest with the features",
}


def composition(table: pd.DataFrame, *, role: str, method: str) -> list[str]:
    """How far fine-tuning moved and what that is made of, a sentence per architecture.

    Parameters
    ----------
    table : DataFrame
        Of `decomposition_table`, of one set of parts or of both.
    role, method : str
        Which maps.
    """
    rows = table[(table["role"] == role) & (table["method"] == method)]
    told = []
    for architecture, of in rows.groupby("architecture", sort=False):
        of = of.set_index("part")
        blank, pairs = of.reindex(["way_to_unrelated"])[["blank", "pairs"]].iloc[0]
        if blank > BLANK_SHARE * pairs:
            told.append(
                f"{label(architecture)}: the method is undefined there, {blank:.0f} of {pairs:.0f} "
                "pairs of maps are blank."
            )
            continue
        told.append(
            f"{label(architecture)}: fine-tuning moved {_percent(of, 'way_to_unrelated')} of the "
            f"way to unrelated films; {_percent(of, 'systematic_share')} of the drift is the same "
            "whatever the seed"
            + "".join(
                clause.format(_percent(of, part))
                for part, clause in _CLAUSES.items()
                if part in of.index
            )
            + "."
        )
    return told


def _percent(parts: pd.DataFrame, part: str) -> str:
    if part not in parts.index or np.isnan(parts.loc[part, "estimate"]):
        return "an unknown share"
    estimate, low, high = parts.loc[part, ["estimate", "low", "high"]]
    known = f" ({low:.0%} to {high:.0%})" if np.isfinite(low) else " (no bounds)"
    return f"{estimate:.0%}{known}".replace("-0%", "0%")


def partial_agreement_table(
    observed: Observations | None, starts: Observations | None = None, *, level: float = 0.95
) -> pd.DataFrame:
    """How far fine-tunings of different seeds agree beyond what they started from.

    Parameters
    ----------
    observed, starts : Observations or None
        Of ``tables/seed_agreement.csv`` and ``tables/starts.csv``, see `lib.drift.agreement`.
    level : float
        As in `retained_table`.

    Returns
    -------
    DataFrame
        `KEYS`, ``measure`` ("partial", whose null is 0; "partial_other", with maps of other films;
        "difference"; with "starts_" before it where they started from two transfer checkpoints),
        the columns of an estimate as in `retained_table`, films, patients, seeds, pairs and pairs
        without a value.
    """
    difference = {"difference": {"partial": 1, "partial_other": -1}}
    rows = []
    for table, pairing, prefix in ((observed, "finetune_seeds", ""), (starts, "starts", "starts_")):
        for cell in _cells(table, pairing) if table else []:
            cells = _side_by_side(table, (*cell, pairing), _PARTIAL)
            counts = table.counts("partial", (*cell, pairing)).values()
            for measure, weights in ({m: {m: 1} for m in _PARTIAL} | difference).items():
                found = contrast(cells, weights) if cells else NO_PAIRS
                rows.append([*cell, prefix + measure, *_described(found, level), *counts])
    return pd.DataFrame(rows, columns=[*KEYS, "measure", *ESTIMATE, *COUNTS])


def start_share_table(starts: Observations | None, *, level: float = 0.95) -> pd.DataFrame:
    """Which share of the drift is the same whatever seed and transfer checkpoint.

    Parameters
    ----------
    starts : Observations or None
        Of ``tables/starts.csv``. Its two transfer checkpoints are given; intervals hold for seeds
        of fine-tuning and patients.

    Returns
    -------
    DataFrame
        Rows of `decomposition_table` with the part ``start_share``, at most about its
        ``systematic_share``: what lies between the two depends on the transfer checkpoint.
    """
    rows = []
    for cell in _cells(starts, "starts") if starts else []:
        cells = _side_by_side(starts, (*cell, "starts"), ("shared", "moved"))
        counts = starts.counts("moved", (*cell, "starts")).values()
        found = ratio_of_contrasts(cells, {"shared": 1}, {"moved": 1}) if cells else NO_PAIRS
        rows.append([*cell, "start_share", *_described(found, level), *counts])
    return pd.DataFrame(rows, columns=[*KEYS, "part", *ESTIMATE, *COUNTS])


def _side_by_side(observed: Observations, name: tuple, metrics: Sequence[str]):
    """The metrics of one cell as cells of their own, to be contrasted; None without a pair."""
    found = {metric: observed.known(metric, [name]) for metric in metrics}
    if any(cells is None for cells in found.values()):
        return None
    cells = {metric: cells[name] for metric, cells in found.items()}
    return CrossedCells(cells, found[metrics[0]].patients)


def _cells(observed: Observations, pairing: str) -> list[tuple[str, str, str]]:
    return list(dict.fromkeys(name[:3] for name in observed.names if name[3] == pairing))


def _described(found: Estimate, level: float) -> list:
    low, high = found.interval(level)
    parts = (found.estimate, found.se, found.se_patients, found.se_seeds, found.df, low, high)
    return [*map(float, parts), found.seed_level]
