"""The compared maps of a study as the hypotheses see them: cells, counts, and what is amiss.

Nothing is dropped silently: a cell without enough films keeps its place and gives its reason, and
one with too many blank maps is named as undefined.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from lib.drift.metrics import SIMILARITIES
from lib.hypotheses.stated import Minimum
from lib.inference.contrasts import Estimate, contrast
from lib.inference.crossed import CrossedCells, cells_from_pairs
from lib.study.artefacts import read_table
from lib.study.names import CONTROLS, label
from lib.study.paths import StudyPaths
from lib.study.schema import CELL, COUNTS, require_columns

EMPTY = "no film counts: none is classified correctly by every compared checkpoint"
SAME_SEEDS = "fine-tunings of different seeds do not differ at all, so the seed was not varied"
Name = tuple[str, str, str, str]
NO_PAIRS = Estimate(*[float("nan")] * 3, "not estimated (no pairs)", *[float("nan")] * 2)


@dataclass(frozen=True)
class Observations:
    """Pairs of maps on a support, as a rule the common one.

    Attributes
    ----------
    pairs : DataFrame
        A row per pair of the support, as in ``tables/pairs.csv``.
    patients : Series
        Patient by image id.
    names : tuple of (architecture, method, role, pairing)
        All comparisons of the study, with or without pairs in the support.
    labels : Series, optional
        Class by image id: means then give every class the same weight.
    """

    pairs: pd.DataFrame
    patients: pd.Series
    names: tuple[Name, ...]
    labels: pd.Series | None = None
    _cells: dict = field(default_factory=dict, repr=False, compare=False)
    _counts: dict = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_tables(
        cls, pairs: pd.DataFrame, patients: pd.Series, *, support: str = "common",
        labels: pd.Series | None = None,
    ) -> "Observations":  # fmt: skip
        """Take the films of a support from a table of pairs.

        Parameters
        ----------
        pairs : DataFrame
            ``tables/pairs.csv``: the columns of `CELL`, ``before``, ``after``, ``image_id``,
            ``partner_id``, ``common`` (bool; for a pair of two films, whether both belong) and
            metrics, NaN where a map is blank.
        support : {"common", "own", "all"}
            Films that every checkpoint of every architecture, that every one of the same
            architecture classifies correctly, or all.

        Raises
        ------
        ValueError
            If a column is missing, ``common`` is not boolean, or a film is paired with another one
            in any pairing but the ceiling, or with itself there.
        """
        needed = [*CELL, "before", "after", "image_id", "partner_id", "common"]
        require_columns(pairs, needed, "pairs")
        if pairs["common"].dtype != bool:
            raise ValueError(f"pairs: found common of type {pairs['common'].dtype}; expected bool.")
        same = pairs["image_id"] == pairs["partner_id"]
        wrong = pairs[same == (pairs["pairing"] == "ceiling")]
        if len(wrong):
            row = wrong.iloc[0]
            raise ValueError(
                f"pairs: found {row['image_id']!r} paired with {row['partner_id']!r} in "
                f"{row['pairing']!r} ({len(wrong)} such rows); expected the same film, and another "
                "one in the ceiling alone."
            )
        names = pairs[CELL].drop_duplicates().itertuples(index=False, name=None)
        chosen = pairs if support == "all" else pairs[pairs[support]]
        return cls(chosen.reset_index(drop=True), patients, tuple(names), labels)

    def cells(self, metric: str) -> CrossedCells | None:
        """Cells of a metric; None where the support is empty."""
        if metric not in self._cells and len(self.pairs):
            options = {"metric": metric, "labels": self.labels}
            self._cells[metric] = cells_from_pairs(self.pairs, self.patients, **options)
        return self._cells.get(metric)

    def estimate(self, metric: str, coefficients: Mapping[Name, float]) -> Estimate:
        """Estimate a contrast; `NO_PAIRS` where one of its cells has no pair at all."""
        cells = self.known(metric, coefficients)
        return NO_PAIRS if cells is None else contrast(cells, coefficients)

    def known(self, metric: str, names: Iterable[Name]) -> CrossedCells | None:
        """The cells of a metric; None where one of `names` has no pair at all."""
        cells = self.cells(metric)
        there = cells is not None and all(name in cells.cells for name in names)
        return cells if there else None

    def counts(self, metric: str, *names: Name) -> dict[str, int]:
        """`COUNTS`: films, patients and seeds with a value, pairs, and blank ones among the pairs.

        Of several cells films, patients and seeds are the least, pairs and blank ones the sums.
        """
        none = dict.fromkeys(COUNTS, 0)
        of = [self._counted(metric).get(name, none) for name in names]
        return {
            each: (sum if each in ("pairs", "blank") else min)(count[each] for count in of)
            for each in COUNTS
        }

    def _counted(self, metric: str) -> dict[Name, dict[str, int]]:
        """Counts of every cell that has a pair; kept, because statements share cells."""
        cells = self.cells(metric)
        if cells is not None and metric not in self._counts:
            sizes = self.pairs.groupby(CELL, observed=True)[metric].agg(["size", "count"])
            self._counts[metric] = {}
            for name, (pairs, valued) in zip(sizes.index, sizes.to_numpy(), strict=True):
                scored = ~np.isnan(cells[name].scores)
                films = scored.any(axis=0)
                self._counts[metric][name] = {
                    "films": int(films.sum()),
                    "patients": len(set(cells.patients[films])),
                    "seeds": len(np.unique(cells[name].seeds[scored.any(axis=1)])),
                    "pairs": int(pairs),
                    "blank": int(pairs - valued),
                }
        return self._counts.get(metric, {})

    def problem(self, metric: str, names: Sequence[Name], minimum: Minimum) -> str:
        """Why these cells cannot be judged, every reason, separated by "; "; empty if they can."""
        if not len(self.pairs):
            return EMPTY
        found = [reason for name in names for reason in self._problems(metric, name, minimum)]
        return "; ".join(dict.fromkeys(found))

    def _problems(self, metric: str, name: Name, minimum: Minimum) -> Iterator[str]:
        if name not in self.names:
            yield f"{where(name)}: the study has no such comparison"
            return
        found = self.counts(metric, name)
        if found["films"] < minimum.films or found["patients"] < minimum.patients:
            yield (
                f"{where(name)}: {found['films']} films of {found['patients']} patients can be "
                f"compared, at least {minimum.films} films of {minimum.patients} patients are "
                "needed"
            )
        if name[3] == "finetune" and self._seeds_agree(metric, name):
            yield f"{where(name)}: {SAME_SEEDS}"

    def undefined(self, metric: str, names: Iterable[Name], minimum: Minimum) -> str:
        """Which of these cells are blank for more pairs than the minimum allows; empty if none."""
        told = []
        for name in names:
            found = self.counts(metric, name)
            if found["blank"] > minimum.blank_share * found["pairs"]:
                told.append(f"{where(name)}: {found['blank']} of {found['pairs']} pairs are blank")
        return "; ".join(told)

    def _seeds_agree(self, metric: str, name: Name) -> bool:
        """Whether no pair of seeds differs in any film: the seed was not varied."""
        floor = self.cells(metric).cells.get((*name[:3], "finetune_seeds"))
        values = floor.scores[~np.isnan(floor.scores)] if floor else np.array([])
        return len(values) > 0 and bool((values == (1 if metric in SIMILARITIES else 0)).all())

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of stage two that the study has, ascending."""
        return tuple(sorted({int(s) for s in map(_seed, self.pairs["after"].unique()) if s}))

    def without(self, seed: int) -> "Observations":
        """The same without the trainings of one seed of stage two."""
        sides = self.pairs[["before", "after"]]
        gone = [name for name in pd.unique(sides.to_numpy().ravel()) if _seed(name) == str(seed)]
        return self._with(~sides.isin(gone).any(axis=1))

    def of(self, roles: Iterable[str], methods: Iterable[str]) -> "Observations":
        """The same for some layers and methods only."""
        return self._with(
            self.pairs["role"].isin(list(roles)) & self.pairs["method"].isin(list(methods))
        )

    def _with(self, rows: pd.Series) -> "Observations":
        pairs = self.pairs[rows].reset_index(drop=True)
        return Observations(pairs, self.patients, self.names, self.labels)


def _seed(checkpoint: str) -> str:
    """Seed of a checkpoint of stage two, "" of another one."""
    kind, _, seed = str(checkpoint).rpartition("-s")
    return "" if kind in ("", "transfer", *CONTROLS) else seed


def where(name: Name) -> str:
    """A cell in words: architecture and method, layer, pairing."""
    return f"{label(*name[:2])} at {name[2]}, {name[3]}"


SUPPORTS = ("own", "common", "all")
"""Which films count. The first and the last give every class the same weight."""


def read(
    paths: StudyPaths, table: str = "pairs", *, support: str = "common"
) -> Observations | None:
    """Observations of a study.

    Parameters
    ----------
    paths : StudyPaths
    table : str
        Name of a table, without ending. Patients are those of the table, if it names them, else of
        the data manifest.
    support : {"common", "own", "all"}
        As in `Observations.from_tables`. On another than the common one every class has the same
        weight.

    Returns
    -------
    Observations or None
        None without the table or a row in it.

    Raises
    ------
    ArtefactError
        If a file cannot be read.
    ValueError
        As `Observations.from_tables` says.
    """
    file = paths.tables / f"{table}.csv"
    if not file.exists():
        return None
    pairs = read_table(file)
    if pairs.empty:
        return None
    films = pairs if "patient_id" in pairs else read_table(paths.manifest)
    patients = films.drop_duplicates("image_id").set_index("image_id")["patient_id"]
    labels = None
    if support != "common":
        labels = read_table(paths.manifest).set_index("image_id")["label"]
    return Observations.from_tables(pairs, patients, support=support, labels=labels)
