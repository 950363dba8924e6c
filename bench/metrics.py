"""The metrics of drift for 100,000 pairs of 7 × 7 maps, without the two costly ones.

Budgets: under 5 s, and at least 20 × the throughput of a loop over SciPy's functions, pair by pair,
which is timed on a part of the pairs; peak memory at most 1.2 × for ten times as many pairs.
"""

import resource
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy import ndimage, stats

from bench import in_turns, memory_line, verdict
from lib.drift import metrics

PAIRS, GRID, SECONDS, BUDGET = 100_000, (7, 7), 5, 20
METRICS = tuple(name for name in metrics.QUICK if name != "ssim")
PART = 1000


def gini(map_: np.ndarray) -> float:
    """Gini index of one map."""
    ascending = np.sort(map_.ravel())
    n = ascending.size
    return ascending @ (2 * np.arange(1, n + 1) - n - 1) / (n * ascending.sum())


def one_pair(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    """The metrics of one pair, as one would write them down."""
    top = [np.argsort(-m.ravel(), kind="stable")[: -(-m.size // 5)] for m in (a, b)]
    half = [m >= m.max() / 2 for m in (a, b)]
    mass = [m / m.sum() for m in (a, b)]
    centres = [(np.array(ndimage.center_of_mass(m)) + 0.5) / m.shape for m in (a, b)]
    entropies = [stats.entropy(m.ravel()) / np.log(m.size) for m in mass]
    return {
        "centroid_displacement": np.linalg.norm(centres[1] - centres[0]) / np.sqrt(2),
        "iou_top20": np.intersect1d(*top).size / np.union1d(*top).size,
        "iou_half": (half[0] & half[1]).sum() / (half[0] | half[1]).sum(),
        "soft_iou": np.minimum(*mass).sum() / np.maximum(*mass).sum(),
        "pearson": stats.pearsonr(a.ravel(), b.ravel())[0],
        "spearman": stats.spearmanr(a.ravel(), b.ravel())[0],
        "gini_change": gini(b) - gini(a),
        "entropy_change": entropies[1] - entropies[0],
    }


def compare_mapped(count: int) -> None:
    """Compare maps that lie on disk and print the peak memory of this process in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        stacks = []
        for seed in (0, 1):
            path = Path(folder) / f"{seed}.npy"
            stack = np.lib.format.open_memmap(path, "w+", np.float32, (count, *GRID))
            generator = np.random.default_rng(seed)
            for start in range(0, count, PART):
                stack[start : start + PART] = generator.random((min(PART, count - start), *GRID))
            stacks.append(np.load(path, mmap_mode="r"))
        metrics.compare(*stacks, metrics=METRICS)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Print a line for time, for the ratio and for memory."""
    a, b = np.random.default_rng(0).random((2, PAIRS, *GRID))
    ours = metrics.compare(a[:PART], b[:PART], metrics=METRICS)
    theirs = [one_pair(*pair) for pair in zip(a[:PART], b[:PART], strict=True)]
    for name in METRICS:
        np.testing.assert_allclose(ours[name], [row[name] for row in theirs], atol=1e-9)
    spent, loop = in_turns(
        lambda: metrics.compare(a, b, metrics=METRICS),
        lambda: [one_pair(*pair) for pair in zip(a[:PART], b[:PART], strict=True)],
    )
    loop *= PAIRS / PART
    print(f"metrics: {len(METRICS)} metrics of {PAIRS} pairs of {GRID[0]} × {GRID[1]} maps")
    print(f"  {spent:.2f} s (budget {SECONDS} s: {'met' if spent < SECONDS else 'NOT met'})")
    print(f"  a loop over SciPy {loop:.0f} s, {verdict(loop / spent, BUDGET)}")
    print(" ", memory_line("bench.metrics", "drift between maps on disk", few=PAIRS // 10))


if __name__ == "__main__":
    compare_mapped(int(sys.argv[1])) if len(sys.argv) > 1 else main()
