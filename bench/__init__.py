"""Measured budgets: two sides timed in turns in one run, because other work shares the machine."""

import time
from collections.abc import Callable


def seconds(function: Callable[[], object]) -> float:
    """Duration of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def in_turns(*sides: Callable[[], object], times: int = 3) -> list[float]:
    """Shortest duration of each side in seconds, after one call of each that traces its graph.

    The sides take turns, so that a disturbance hits all of them; the best of several counts.
    """
    for side in sides:
        side()
    durations = [[seconds(side) for side in sides] for _ in range(times)]
    return [min(of) for of in zip(*durations, strict=True)]


def verdict(ratio: float, budget: float) -> str:
    """The end of a line of the report."""
    return f"ratio {ratio:.2f} (budget {budget:g}: {'met' if ratio >= budget else 'NOT met'})"
