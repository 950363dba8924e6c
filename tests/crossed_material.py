"""Simulated studies with a known truth: seeds crossed with films, films nested in patients."""

from itertools import combinations

import numpy as np

from lib.inference.crossed import Cell, CrossedCells

# Spread of a similarity in [0, 1], of the order seen in runs of the study.
PATIENT, FILM, SEED_PATIENT, NOISE = 0.10, 0.08, 0.05, 0.08


def patients_of(films: int) -> np.ndarray:
    """Patients with 1, 2, 3, 1, 2, 3 … films; the last may be cut off."""
    sizes = np.tile([1, 2, 3], films)
    return np.repeat(np.arange(len(sizes)), sizes)[:films]


class Studies:
    """Many simulated studies at once; every cell is added with its true mean.

    Each random effect of a cell is part common to all cells (films and patients only), part common
    to the cells of its architecture, and part its own, in equal shares of variance.
    """

    def __init__(self, count, *, seeds, films=150, spread=0.02, seed=0, scale=1.0, patients=None):
        self.generator = np.random.default_rng(seed)
        self.patients = patients_of(films) if patients is None else np.asarray(patients)
        self.count, self.seeds, self.films = count, seeds, len(self.patients)
        self.spread = spread
        self.sizes = {"patient": PATIENT, "film": FILM, "seed_patient": SEED_PATIENT}
        self.sizes |= {"noise": NOISE, "seed": 1.0}
        self.scale, self.drawn, self.cells = scale, {}, {}

    def normal(self, kind, owner):
        """Standard normal effects of one owner, drawn once."""
        if (kind, owner) not in self.drawn:
            people = self.patients.max() + 1
            shape = {
                "seed": (self.seeds, 1),
                "patient": (1, people),
                "film": (1, self.films),
                "seed_patient": (self.seeds, people),
                "noise": (self.seeds, self.films),
            }[kind]
            self.drawn[kind, owner] = self.generator.normal(size=(self.count, *shape))
        return self.drawn[kind, owner]

    def effect(self, kind, architecture, name):
        crossed = kind in ("patient", "film")
        owners = [architecture, (architecture, name)] + ["everyone"] * crossed
        parts = [self.normal(kind, owner) for owner in owners]
        values = sum(parts) / np.sqrt(len(parts)) * self.sizes[kind]
        by_patient = kind in ("patient", "seed_patient")
        return values[..., self.patients] if by_patient else values

    def add(self, architecture, name, mean, *, spread=None, pairs=False, blank=0.0):
        """Add a cell of the given true mean; `spread` is the standard deviation between seeds."""
        spread = self.spread if spread is None else spread
        by_seed = spread * self.effect("seed", architecture, name) + self.scale * self.effect(
            "seed_patient", architecture, name
        )
        still = self.effect("patient", architecture, name) + self.effect("film", architecture, name)
        if pairs:
            seeds = list(combinations(range(self.seeds), 2))
            first, second = np.array(seeds).T
            noise = NOISE * self.generator.normal(size=(self.count, len(seeds), self.films))
            own = 0.3 * spread * self.generator.normal(size=(self.count, len(seeds), 1))
            values = (by_seed[:, first] + by_seed[:, second]) / np.sqrt(2) + noise + own
        else:
            seeds, values = range(self.seeds), by_seed + self.effect("noise", architecture, name)
        values = mean + self.scale * still + values
        if blank:
            values[self.generator.random(values.shape) < blank] = np.nan
        self.cells[architecture, name] = Cell(values, list(seeds), architecture)
        return self

    def crossed(self) -> CrossedCells:
        return CrossedCells(self.cells, self.patients)
