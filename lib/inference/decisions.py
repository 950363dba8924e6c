"""Decisions from estimates: equivalence, crossover, and correction for many tests.

Measured power in per cent, on the simulated studies of tests/inference/test_simulation.py (150
films of 75 patients, standard deviation between seeds 0.02, 4,000 data sets: ± 1.6 at most at two
Monte-Carlo standard errors): drift found, one-sided at 5 %, by its size; crossover found by the
size of the opposite effects; equality accepted at 5 % by the margin.

    seeds  drift 0.02  0.04  0.08  crossover 0.04  0.08  0.12  margin 0.03  0.06
    2      19          41    72    2               28    60    9            50
    3      22          58    97    5               71    98    10           76
    5      32          77    100   15              93    100   19           96
"""

from dataclasses import dataclass

import numpy as np

from lib.inference.contrasts import Estimate


@dataclass(frozen=True)
class Equivalence:
    """Result of two one-sided tests.

    Attributes
    ----------
    equivalent : bool or ndarray
        Whether the contrast lies inside the margin: p-value at most alpha.
    p_value : float or ndarray
        The larger of the two one-sided p-values.
    low, high : float or ndarray
        Interval of level 1 − 2·alpha: inside ±margin exactly if equivalent.
    """

    equivalent: np.ndarray
    p_value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    margin: float
    alpha: float


def equivalence(estimate: Estimate, *, margin: float, alpha: float = 0.05) -> Equivalence:
    """Test whether a contrast is smaller than a margin in size (TOST, Schuirmann 1987).

    "Not significantly different" is not "the same"; this is the test for the latter. Standard error
    and degrees of freedom are those of the interval. The margin counts as known.

    Returns
    -------
    Equivalence
        A contrast that is NaN is not equivalent.

    Raises
    ------
    ValueError
        If the margin is not positive and finite, or alpha is out of range.
    """
    if not 0 < margin < np.inf:
        raise ValueError(f"margin: found {margin!r}; expected a positive number.")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha: found {alpha!r}; expected a number between 0 and 0.5.")
    above = estimate.p_value("greater", null=-margin)
    below = estimate.p_value("less", null=margin)
    p_value = np.maximum(above, below)
    return Equivalence(p_value <= alpha, p_value, *estimate.interval(1 - 2 * alpha), margin, alpha)


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

    Parameters
    ----------
    level : float in (0, 1)
        Level of both intervals.

    Raises
    ------
    ValueError
        If the level is not between 0 and 1.
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

    Parameters
    ----------
    p_values : array of shape (m,), in [0, 1]
        NaN for a test that could not be made: it stays NaN and counts in the family, because it
        was planned.

    Returns
    -------
    ndarray of shape (m,)
        The largest of (m − j + 1)·p_(j) over the p-values up to each, at most 1.

    Raises
    ------
    ValueError
        If the array is not one-dimensional or a value is outside [0, 1].
    """
    p_values = np.asarray(p_values, dtype=float)
    if p_values.ndim != 1 or (p_values < 0).any() or (p_values > 1).any():
        raise ValueError(f"p_values: found {p_values}; expected one dimension, in [0, 1].")
    order = np.argsort(p_values)  # NaN last
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted
