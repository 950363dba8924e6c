"""Parts of sentences: lists, numbers and shares, and the maps that first sentences tell of."""

import re
from collections.abc import Sequence

import pandas as pd

CELL = {"role": "post_activation", "method": "layercam"}
"""Where the first sentences look: the map that is pooled, where the gradient methods agree."""
LAYERS = {"post_activation": "the pooled map"}
"""Layers that have a name for readers; the others have that of their role."""


def listed(words: Sequence[str]) -> str:
    """Words joined as in a sentence: "a, b and c"."""
    words = [str(word) for word in words]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def number(value: float, decimals: int = 2) -> str:
    """A number as it is written in a sentence: "−0.02", and never "−0.00"."""
    # "+ 0" of what is rounded: no minus before zero.
    return f"{round(value, decimals) + 0:.{decimals}f}".replace("-", "−")


def span(values: pd.Series, decimals: int = 2) -> str:
    """Lowest and highest value: "0.16 to 0.65", or "0.50" where they are alike."""
    low, high = (number(value, decimals) for value in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


def percent(values: Sequence[float]) -> str:
    """Shares as whole per cents: "5 %", or lowest and highest, "5 to 20 %"."""
    low, high = (number(100 * value, 0) for value in (min(values), max(values)))
    return f"{low}\u00a0%" if low == high else f"{low} to {high}\u00a0%"


def comparisons(sentence: str) -> str:
    """The sentence of a verdict; the first published ones called comparisons cells."""
    return re.sub(r"\b((?:of|all) \d+|no) cell(s?)\b", r"\1 comparison\2", sentence)
