"""Measured budgets: two sides timed in turns in one run, because other work shares the machine."""

import subprocess
import sys
import time
from collections.abc import Callable

FLAT = 1.2
"""Most that peak memory may grow by for ten times as many films."""


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


def memory_line(module: str, what: str, *, few: int) -> str:
    """Peak memory for `few` and for ten times as many films.

    Parameters
    ----------
    module : str
        Run as a program with the number of films, it prints its own peak in MiB.
    what : str
        What it does.
    """

    def peak(count: int) -> float:
        command = [sys.executable, "-m", module, str(count)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    small, large = peak(few), peak(10 * few)
    met = "met" if large <= FLAT * small else "NOT met"
    return (
        f"{what} of {few} films {small:.0f} MiB, of {10 * few} films {large:.0f} MiB, "
        f"ratio {large / small:.2f} (budget {FLAT}: {met})"
    )
