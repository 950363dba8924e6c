"""The crossed bootstrap: 2,000 resamples of 5 seeds × 2,000 films × 20 cells.

Budget: under 10 s and under 1 GiB. Memory is the most that the process ever held, interpreter and
libraries included.
"""

import resource
import time

import numpy as np

from lib.inference.bootstrap import bootstrap
from lib.inference.crossed import Cell, CrossedCells

RESAMPLES, SEEDS, FILMS, CELLS = 2000, 5, 2000, 20
SECONDS, GIBIBYTES = 10, 1


def verdict(measured: float, budget: float) -> str:
    """Whether a measurement is under its budget."""
    return "met" if measured < budget else "NOT met"


def main() -> None:
    """Print one line for time and one for memory."""
    generator = np.random.default_rng(0)
    scores = generator.random((CELLS, SEEDS, FILMS))
    scores[generator.random(scores.shape) < 0.05] = np.nan  # blank maps
    architectures = [f"architecture {number % 3}" for number in range(CELLS)]
    cells = CrossedCells(
        {
            number: Cell(of_cell, range(SEEDS), architecture)
            for number, (of_cell, architecture) in enumerate(
                zip(scores, architectures, strict=True)
            )
        },
        np.sort(generator.integers(0, FILMS // 2, FILMS)),
    )
    start = time.perf_counter()
    bootstrap(cells, resamples=RESAMPLES, seed=0)
    seconds = time.perf_counter() - start
    # Linux counts in KiB.
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"inference: {RESAMPLES} resamples of {SEEDS} seeds × {FILMS} films × {CELLS} cells")
    print(f"  {seconds:.2f} s (budget {SECONDS} s: {verdict(seconds, SECONDS)})")
    print(f"  {held:.2f} GiB (budget {GIBIBYTES} GiB: {verdict(held, GIBIBYTES)})")


if __name__ == "__main__":
    main()
