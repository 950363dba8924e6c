"""Maps as arrays, shape (N, h, w): what may be compared, what is blank, mass and grid.

Maps are non-negative (attributions end in a ReLU) and of any scale: P = M / sum(M) is the mass of a
map M, U = M / max(M) its peak-normalised form.
"""

import math
from functools import lru_cache

import numpy as np


def require_stack(maps: np.ndarray, name: str) -> None:
    """Check the shape and type of a stack without reading its values, or raise a ValueError."""
    if maps.ndim != 3 or math.prod(maps.shape[1:]) < 2 or maps.dtype.kind not in "fiub":
        raise ValueError(
            f"{name}: found an array of shape {maps.shape} and type {maps.dtype}; expected real "
            "numbers of shape (N, h, w) with at least two cells per map (one map: maps[None])."
        )


def checked(maps, name: str) -> np.ndarray:
    """`maps` as float64, or a ValueError that says what is wrong with the stack called `name`."""
    maps = np.asarray(maps)
    require_stack(maps, name)
    maps = maps.astype(np.float64, copy=False)
    negative = (maps < 0) & np.isfinite(maps)
    if negative.any():
        raise ValueError(
            f"{name}: found negative values (lowest {maps[negative].min():.6g}); expected "
            "non-negative maps: apply the ReLU that ends the attribution method."
        )
    return maps


def require_same_shape(a, b, names: tuple[str, str]) -> None:
    """Check that two arrays have one shape, or raise a ValueError that names both."""
    if np.shape(a) != np.shape(b):
        raise ValueError(
            f"{names[1]}: found shape {np.shape(b)}; expected that of {names[0]}, {np.shape(a)}."
        )


def cells_of(maps: np.ndarray) -> np.ndarray:
    """Cells of every map in a row, shape (N, h * w)."""
    return maps.reshape(len(maps), math.prod(maps.shape[1:]))


def has_mass(maps: np.ndarray) -> np.ndarray:
    """Whether a map is finite and not all zero, shape (N,)."""
    cells = cells_of(maps)
    return np.isfinite(cells).all(axis=1) & (cells.max(axis=1) > 0)


def peak_normalised(maps: np.ndarray) -> np.ndarray:
    """U, shape (N, h * w), of maps that have mass."""
    return cells_of(maps) / cells_of(maps).max(axis=1, keepdims=True)


def mass(maps: np.ndarray) -> np.ndarray:
    """P, shape (N, h * w), of maps that have mass."""
    normalised = peak_normalised(maps)  # a sum of raw values could overflow
    return normalised / normalised.sum(axis=1, keepdims=True)


@lru_cache(maxsize=16)
def cell_centres(h: int, w: int) -> np.ndarray:
    """(x, y) of the cells in the unit square, x to the right and y down: shape (h * w, 2)."""
    y, x = np.mgrid[:h, :w]
    return np.column_stack([(x.ravel() + 0.5) / w, (y.ravel() + 0.5) / h])


def blank_reason(maps) -> np.ndarray:
    """Why a map carries no evidence: "not finite", "all zero", "constant" (and not zero) or "".

    Of non-negative maps (N, h, w), else a ValueError; an array of str, shape (N,).
    """
    cells = cells_of(checked(maps, "maps"))
    lowest, highest = cells.min(axis=1), cells.max(axis=1)
    conditions = [~np.isfinite(cells).all(axis=1), highest == 0, highest == lowest]
    return np.select(conditions, ["not finite", "all zero", "constant"], default="")
