"""Decisions from estimates: crossover, and correction for many tests.

Measured power in per cent, on the simulated studies of tests/inference/test_simulation.py (150
films of 75 patients, standard deviation between seeds 0.02, 4,000 data sets: ± 1.6 at most at two
Monte-Carlo standard errors): drift found, one-sided at 5 %, by its size; crossover found by the
size of the opposite effects.

    seeds  drift 0.02  0.04  0.08  crossover 0.04  0.08  0.12
    2      19          41    72    2               28    60
    3      22          58    97    5               71    98
    5      32          77    100   15              93    100
"""

from dataclasses import dataclass

import numpy as np

from lib.inference.contrasts import Estimate


@dataclass(frozen=True)
class Crossover:
    """Result of a test for a real reversal.

    Attributes
    ----------
    supported : bool or ndarray
        Effects of opposite sign, both intervals excluding 0.
    p_value : float or ndarray
        The likelihood-ratio test for qualitative interaction (Gail & Simon 1985, their eq. 4 with
        two effects), with the t distributions of the effects in place of the normal: for few seeds.
    """

    supported: np.ndarray
    p_value: np.ndarray


def crossover(first: Estimate, second: Estimate, *, level: float = 0.95) -> Crossover:
    """Test whether an effect reverses: two simple effects of opposite sign, both beyond doubt.

    As a rule the effects are the difference of two architectures under one method and under the
    other. They may depend on each other (common seeds and films): with two effects the null region
    "same sign" is refused only if each effect refuses its own side, which needs no joint law.

    `level` is that of both intervals.
    """
    intervals = np.array([effect.interval(level) for effect in (first, second)])
    (low_1, high_1), (low_2, high_2) = intervals
    supported = ((low_1 > 0) & (high_2 < 0)) | ((high_1 < 0) & (low_2 > 0))
    opposite = np.sign(first.estimate) * np.sign(second.estimate) < 0
    one_sided = np.maximum(first.p_value(), second.p_value()) / 2
    undefined = np.isnan(np.asarray(first.se) + second.se)
    p_value = np.where(undefined, np.nan, np.where(opposite, one_sided, 1.0))[()]
    return Crossover(supported, p_value)


def holm(p_values) -> np.ndarray:
    """Adjust p-values for the family they make (Holm 1979): refuse where the result is ≤ alpha.

    The largest of (m − j + 1)·p_(j) over the p-values up to each, at most 1: shape (m,), as they
    are. A test that could not be made is NaN: it stays so and counts in the family, because it was
    planned.
    """
    p_values = np.asarray(p_values, dtype=float)
    if p_values.ndim != 1 or (p_values < 0).any() or (p_values > 1).any():
        raise ValueError(f"p_values: found {p_values}; expected one dimension, in [0, 1].")
    order = np.argsort(p_values)  # NaN last
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted
