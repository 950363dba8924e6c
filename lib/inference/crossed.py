"""Crossed data of a study: cells of drift values, seeds × films, and what each unit contributes.

Every training seed is scored on the same films, and films belong to patients, so seeds and patients
are crossed. A cell is one comparison of maps (an architecture, method, layer role and pairing) with
a row per seed, or per pair of seeds for the seed floor, and a column per film.
"""

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from lib.study.schema import CELL, SEED_PAIRINGS, require_columns


@dataclass(frozen=True)
class Cell:
    """Drift values of one comparison.

    Attributes
    ----------
    scores : ndarray of shape (..., rows, films), float
        NaN where a map is blank. Leading axes are data sets that are treated at once.
    seeds : ndarray of shape (rows,) or (rows, 2), int
        Training seed of each row, or the two seeds that it compares.
    group : str
        Whose seeds these are, as a rule the architecture: cells of one group share their training
        runs, and runs of two groups are independent even where their numbers agree.
    weights : ndarray of shape (films,), optional
        How much each film counts, such as every class alike; without, every film alike.
    """

    scores: np.ndarray
    seeds: np.ndarray
    group: str
    weights: np.ndarray | None = None

    def __post_init__(self):
        scores, seeds = np.asarray(self.scores, dtype=float), np.asarray(self.seeds)

        def refuse(found: str, expected: str):
            raise ValueError(f"cell of {self.group}: found {found}; expected {expected}.")

        if scores.ndim < 2 or seeds.shape not in ((scores.shape[-2],), (scores.shape[-2], 2)):
            refuse(
                f"scores of shape {scores.shape} and seeds of shape {seeds.shape}",
                "(..., rows, films) and a seed or a pair for each row",
            )
        if infinite := np.isinf(scores).sum():
            refuse(f"{infinite} infinite values", "numbers, or NaN for a blank map")
        films = scores.shape[-1]
        weights = np.ones(films) if self.weights is None else self.weights
        if weights.shape != (films,) or not (np.isfinite(weights) & (weights >= 0)).all():
            expected = f"a finite number, 0 or more, for each of {films} films"
            refuse(f"weights of shape {weights.shape}", expected)
        rows = [frozenset(np.atleast_1d(row).tolist()) for row in seeds]
        if len(set(rows)) < len(rows) or any(len(row) != seeds[:1].size for row in rows):
            expected = "each once, and pairs of two different seeds"
            refuse(f"rows of the seeds {seeds.tolist()}", expected)
        for name, value in (("scores", scores), ("seeds", seeds), ("weights", weights)):
            object.__setattr__(self, name, value)

    @property
    def pairs(self) -> bool:
        """Whether the rows are pairs of seeds."""
        return self.seeds.ndim == 2


@dataclass(frozen=True)
class Influence:
    """The mean of a cell and what each patient and seed contributes to it.

    Leading axes are those of the values; S seeds, P patients. Sums of squares of these arrays are
    the mean squares of `contrasts`; a contrast of cells has the contrast of their influences.

    Attributes
    ----------
    mean : ndarray of shape (...)
        Over all films that are not blank, by the weights of the cell. NaN if there is none.
    patient : ndarray of shape (..., P)
        Weighted sum of the deviations of the patient's films from the mean, over the sum of the
        weights.
    observed : ndarray of shape (..., P), bool
        Patients with at least one value.
    seeds : ndarray of shape (S,)
        Seeds with at least one value.
    seed : ndarray of shape (..., S) or None
        Mean less the mean without the seed, times √((S − 1)/S): its squares sum to the jackknife
        variance. None if that cannot be had: below two seeds, or below three where rows are pairs.
    seed_patient : ndarray of shape (..., S, P) or None
        The same within each patient, with the main effects taken out.
    """

    mean: np.ndarray
    patient: np.ndarray
    observed: np.ndarray
    seeds: np.ndarray
    seed: np.ndarray | None
    seed_patient: np.ndarray | None


@dataclass(frozen=True)
class CrossedCells:
    """All cells of an analysis, on the same films.

    Attributes
    ----------
    cells : dict of name to Cell
    patients : ndarray of shape (films,)
        Patient of each film.
    """

    cells: Mapping[Hashable, Cell]
    patients: np.ndarray
    _influences: dict = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self):
        patients = np.asarray(self.patients)
        object.__setattr__(self, "patients", patients)
        if not self.cells or patients.ndim != 1 or pd.isna(patients).any():
            raise ValueError(
                f"found {len(self.cells)} cells and patients of shape {patients.shape} with "
                f"{pd.isna(patients).sum()} missing; expected cells, and a patient per film."
            )
        shape = next(iter(self.cells.values())).scores.shape[:-2]
        for name, cell in self.cells.items():
            found = cell.scores.shape[:-2], cell.scores.shape[-1]
            if found != (shape, len(patients)):
                raise ValueError(
                    f"cell {name}: found data sets {found[0]} and {found[1]} films; expected "
                    f"{shape} and {len(patients)}, as in the first cell and `patients`."
                )

    @cached_property
    def _blocks(self) -> tuple[np.ndarray, np.ndarray]:
        """Order of the films that puts patients together, and the first film of each patient."""
        codes = pd.factorize(self.patients)[0]
        order = np.argsort(codes, kind="stable")
        return order, np.flatnonzero(np.diff(codes[order], prepend=-1))

    def films_per_patient(self) -> np.ndarray:
        """Number of films of each patient, shape (P,), in order of first appearance."""
        return np.diff(self._blocks[1], append=len(self.patients))

    def sum_by_patient(self, values: np.ndarray) -> np.ndarray:
        """Sums over the last axis, films, within patients: (..., films) to (..., P)."""
        order, starts = self._blocks
        return np.add.reduceat(values[..., order], starts, axis=-1)

    def spread_to_films(self, blocks: np.ndarray) -> np.ndarray:
        """Columns ordered by patient brought into the order of the films: (..., films)."""
        out = np.empty_like(blocks)
        out[..., self._blocks[0]] = blocks
        return out

    def __getitem__(self, name: Hashable) -> Cell:
        if name not in self.cells:
            raise ValueError(f"cell: found {name!r}; expected one of {list(self.cells)}.")
        return self.cells[name]

    def influence(self, name: Hashable) -> Influence:
        """Mean and influences of a cell; kept, because contrasts share cells."""
        if name not in self._influences:
            self._influences[name] = self._influence(self[name])
        return self._influences[name]

    def _influence(self, cell: Cell) -> Influence:
        observed = ~np.isnan(cell.scores)
        # A seed whose maps are all blank tells nothing of the spread between seeds.
        scored = observed.any(axis=(*range(observed.ndim - 2), -1))
        observed, values = observed[..., scored, :], cell.scores[..., scored, :]
        weighted = observed * cell.weights
        count, total = weighted.sum(axis=-1), (weighted * np.where(observed, values, 0)).sum(-1)
        number = count.sum(axis=-1)
        mean = ratio(total.sum(axis=-1), number)
        deviation = weighted * np.where(observed, values - mean[..., None, None], 0)
        deviation = deviation.sum(axis=-2)
        patient = ratio(self.sum_by_patient(deviation), number[..., None])
        seen = self.sum_by_patient(observed.any(axis=-2).astype(int)) > 0

        seeds = np.unique(cell.seeds[scored])
        if len(seeds) < (3 if cell.pairs else 2):
            return Influence(mean, patient, seen, seeds, None, None)
        rows = cell.seeds[scored].reshape(scored.sum(), -1)
        others = (rows != seeds[:, None, None]).all(axis=-1).astype(float)  # (seeds, rows)
        scale = np.sqrt((len(seeds) - 1) / len(seeds))
        seed = scale * (mean[..., None] - ratio(total @ others.T, count @ others.T))
        leave_out = scale * (1 / others.shape[1] - ratio(others, others.sum(axis=1)[:, None]))
        row_mean = ratio(total, count)[..., None]
        within = weighted * np.where(observed, values - row_mean, 0)
        within = within / np.where(count > 0, count, 1)[..., None]
        return Influence(mean, patient, seen, seeds, seed, self.sum_by_patient(leave_out @ within))


def ratio(numerator, denominator) -> np.ndarray:
    """Quotient, NaN where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    out = np.full(numerator.shape, np.nan)
    return np.divide(numerator, denominator, out=out, where=denominator != 0)


def cells_from_pairs(
    pairs: pd.DataFrame, patients: pd.Series, *, metric: str, labels: pd.Series | None = None
) -> CrossedCells:
    """Cells of a table of compared maps.

    Parameters
    ----------
    pairs : DataFrame
        A row per pair of maps: the columns of `CELL`, ``before``, ``after`` (checkpoint names that
        end in ``-s<seed>``), ``image_id`` and the metric, NaN for a blank pair. Select the films
        beforehand.
    patients : Series
        Patient by image id.
    labels : Series, optional
        Class by image id: every class of a cell then has the same weight, however many films it
        has; without, every film has.

    Returns
    -------
    CrossedCells
        Names are (architecture, method, role, pairing). Films are sorted by image id; one that a
        cell lacks is NaN there. Rows of the `SEED_PAIRINGS` are pairs of seeds. Seeds of
        transfer checkpoints form a group of their own: they are other runs than the fine-tunings.
    """
    key = [*CELL, "before", "after", "image_id"]
    require_columns(pairs, [*key, metric], "pairs")
    if (again := pairs.duplicated(key)).any():
        found = pairs.loc[again, key].iloc[0].to_dict()
        raise ValueError(f"pairs: found {found} twice; expected each film once.")
    films = np.sort(pairs["image_id"].unique())
    if unknown := [film for film in films if film not in patients.index]:
        raise ValueError(
            f"patients: found none for {len(unknown)} films such as {unknown[0]!r}; expected one "
            "for each image id of the pairs."
        )
    cells = {}
    for name, rows in pairs.groupby(CELL, sort=False, observed=True):
        checkpoints = rows[["before", "after"]].drop_duplicates().sort_values(["before", "after"])
        seeds = checkpoints.map(_seed_of).to_numpy()
        scores = np.full((len(seeds), len(films)), np.nan)
        row = pd.MultiIndex.from_frame(checkpoints).get_indexer(
            pd.MultiIndex.from_frame(rows[["before", "after"]])
        )
        scores[row, np.searchsorted(films, rows["image_id"])] = rows[metric]
        architecture, pairing = name[0], name[-1]
        group = f"{architecture} transfer" if pairing == "transfer_seeds" else architecture
        seeds = seeds if pairing in SEED_PAIRINGS else seeds[:, 1]
        weights = None
        if labels is not None:
            of_class = labels.loc[films].where(np.isin(films, rows["image_id"]))
            weights = 1 / of_class.map(of_class.value_counts()).to_numpy(float)
            weights = np.nan_to_num(weights / np.nanmean(weights))  # a film counts 1 on average
        cells[name] = Cell(scores, seeds, group, weights)
    return CrossedCells(cells, patients.loc[films].to_numpy())


def _seed_of(checkpoint: str) -> int:
    found = re.search(r"-s(\d+)$", checkpoint)
    if not found:
        raise ValueError(
            f"checkpoint: found {checkpoint!r}; expected a name that ends in its seed, such as "
            "finetune-s0."
        )
    return int(found[1])
