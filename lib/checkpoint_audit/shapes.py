"""Masks of what lesions are told by: boxes, polygons and run-lengths.

Points are in pixels from the upper left corner, so that the first pixel reaches from 0 to 1.
Run-lengths count pixels outside and inside by turns, column by column, starting outside. What does
not fit into a frame is a ValueError that says what was found and expected.
"""

from collections.abc import Sequence
from math import ceil

import numpy as np

_SLACK = 0.01  # of a side, but at least a pixel: annotations are drawn beyond the edge
_DIGITS = 6  # of five bits: more than a run of all pixels of the largest film takes


def unpacked(text: str) -> list[int]:
    """Run-lengths from the text that COCO packs them into.

    A character holds five bits, the lowest first, and whether the number goes on; from the fourth
    number on it is the difference to the last but one (Lin et al., ``maskApi.c`` of the COCO API).
    """
    counts, number, digits = [], 0, 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or digits == _DIGITS:
            raise ValueError(f"counts: found {text[:40]!r}, expected run-lengths packed by COCO")
        number |= (bits & 31) << 5 * digits
        digits += 1
        if bits & 32:
            continue
        if bits & 16:
            number -= 1 << 5 * digits
        counts.append(number + (counts[-2] if len(counts) > 2 else 0))
        number, digits = 0, 0
    return counts


def of_runs(runs: Sequence[int], height: int, width: int, *, whole: bool) -> np.ndarray:
    """The mask of run-lengths, which are of all pixels, or end with the last one inside."""
    total = sum(runs)
    if total > height * width or (whole and total < height * width):
        raise ValueError(
            f"found run-lengths of {total} pixels, expected {'' if whole else 'at most '}the "
            f"{height * width} of {width}x{height}"
        )
    flat = np.zeros(height * width, bool)
    flat[:total] = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(width, height).T


def of_box(left, top, right, bottom, height: int, width: int) -> np.ndarray:
    """The mask of a box, its edges rounded to pixels."""
    _require_inside("a box", np.array([[left, top], [right, bottom]]), height, width)
    mask = np.zeros((height, width), bool)
    left, top = (max(0, round(x)) for x in (left, top))
    mask[top : round(bottom), left : round(right)] = True
    return mask


def of_polygons(polygons: Sequence[np.ndarray], height: int, width: int) -> np.ndarray:
    """The pixels whose centres lie in any of some polygons, shape (points, 2), even-odd."""
    mask = np.zeros((height, width), bool)
    for points in polygons:
        _require_inside("a polygon", points, height, width)
        # Where an edge crosses the centres of a row, in and out are exchanged from there on.
        crossed = np.zeros((height, width + 1), bool)
        for (x, y), (to_x, to_y) in zip(points, np.roll(points, -1, axis=0), strict=True):
            low, high = (min(max(ceil(end - 0.5), 0), height) for end in sorted((y, to_y)))
            rows = np.arange(low, high)
            if len(rows):
                at = x + (rows + 0.5 - y) * (to_x - x) / (to_y - y)
                columns = np.clip(np.ceil(at - 0.5), 0, width).astype(int)
                crossed[rows, columns] ^= True
        mask |= np.logical_xor.accumulate(crossed, axis=1)[:, :width]
    return mask


def _require_inside(what: str, points: np.ndarray, height: int, width: int) -> None:
    """Check that points, shape (n, 2), lie in a frame: others are of a film of another size."""
    sides = np.array([width, height])
    slack = np.maximum(1, _SLACK * sides)
    if (points < -slack).any() or (points > sides + slack).any():
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        raise ValueError(
            f"found {what} from ({left:g}, {top:g}) to ({right:g}, {bottom:g}), expected one "
            f"inside its {width}x{height} pixels"
        )
