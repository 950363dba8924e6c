"""Known evidence: how much of a map lies in the lesion and in the lungs, where both are known.

Masks live in the frame of the network's input, padding included, and so do areas: a map that is
the same everywhere has as much of its mass in a mask as the mask has area. A cell of a map stands
for the part of the input that it covers when the map is stretched over the input, as heat maps are
shown. The centres of the receptive fields can lie elsewhere, by up to half a cell in a ResNet50V2
and in the outer cells of an InceptionV3, the same in every checkpoint: a change compares like with
like, and levels of two architectures compare with this reserve.
"""

import numpy as np

from lib.attribution import arrays


def _shares(pixels: int, cells: int) -> np.ndarray:
    """Share of each cell that each pixel covers, shape (cells, pixels); rows sum to 1."""
    cell, pixel = np.arange(cells)[:, None], np.arange(pixels)
    # In units of 1 / (cells * pixels) all borders are integers, so that no share is rounded twice.
    low = np.maximum(cell * pixels, pixel * cells)
    high = np.minimum((cell + 1) * pixels, (pixel + 1) * cells)
    return np.maximum(high - low, 0) / pixels


def mask_on_grid(masks, grid: tuple[int, int]) -> np.ndarray:
    """Share of each cell of a grid that a mask covers; exact, wherever the cells' borders fall.

    Parameters
    ----------
    masks : array of shape (N, H, W), bool
        In the frame of the network's input.
    grid : tuple of int
        Rows and columns (h, w) of the grid that is laid over the frame.

    Returns
    -------
    ndarray of shape (N, h, w), float64 in [0, 1]
        Its mean over the cells is the area of the mask as a share of the frame.
    """
    masks = np.asanyarray(masks)
    if masks.ndim != 3 or masks.dtype != bool or not all(masks.shape[1:]):
        raise ValueError(
            f"masks: found {masks.dtype} of shape {masks.shape}; expected bool of shape (N, H, W)."
        )
    if len(grid) != 2 or min(grid) < 1:
        raise ValueError(f"grid: found {grid}; expected two positive numbers of cells (h, w).")
    return np.clip(on_grid(masks, grid), 0, 1)


def on_grid(maps, grid: tuple[int, int]) -> np.ndarray:
    """Mean of maps (N, H, W) over every cell of another grid (h, w) on the same frame; exact.

    Of float64; maps that have this grid already are returned as they are.
    """
    if np.shape(maps)[1:] == tuple(grid):
        return np.asarray(maps, dtype=float)
    rows, columns = (_shares(*pair) for pair in zip(np.shape(maps)[1:], grid, strict=True))
    found = np.empty((len(maps), *grid))
    for each, one in zip(found, maps, strict=True):  # one at a time: films may be many and large
        each[...] = rows @ one @ columns.T
    return found


def _checked(maps, cover) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maps and cover as (N, cells), and which maps have a mass."""
    maps, cover = arrays.checked(maps, "maps"), np.asarray(cover, dtype=float)
    arrays.require_same_shape(maps, cover, ("maps", "cover"))
    if not ((cover >= 0) & (cover <= 1)).all():
        raise ValueError(
            f"cover: found values from {np.nanmin(cover):.6g} to {np.nanmax(cover):.6g}; expected "
            "shares of cells in [0, 1], see mask_on_grid."
        )
    return arrays.cells_of(maps), arrays.cells_of(cover), arrays.has_mass(maps)


def relevance_mass(maps, cover) -> np.ndarray:
    """Share of a map's mass that lies in a mask, sum of P * cover.

    The relevance mass accuracy of Arras, Osman & Samek (2022), for masks that cut through cells:
    the mass of a cell counts by the share of it that is covered. Depends on no positive factor.

    Parameters
    ----------
    maps : array of shape (N, h, w), non-negative
    cover : array of shape (N, h, w), in [0, 1]
        See `mask_on_grid`.

    Returns
    -------
    ndarray of shape (N,), float64 in [0, 1]
        NaN where a map is all zero or not finite. A constant map has the area of the mask.
    """
    maps, cover, usable = _checked(maps, cover)
    values = np.full(len(maps), np.nan)
    scaled = arrays.peak_normalised(maps[usable])  # a sum of raw values can overflow
    values[usable] = (scaled * cover[usable]).sum(axis=1) / scaled.sum(axis=1)
    return values


def pointing_game(maps, cover) -> np.ndarray:
    """Whether the highest cell of a map touches the mask (Zhang et al. 2018).

    Cells are coarse, so a peak hits if any part of its cell is covered. A cell drawn blindly hits
    with the probability (cover > 0).mean(), which is more than the area. Of several highest cells
    the one with the lowest flat index is the peak.

    Takes what `relevance_mass` takes. Shape (N,): 1 for a hit, 0 for a miss, NaN where a map is all
    zero or not finite.
    """
    maps, cover, usable = _checked(maps, cover)
    peak = np.where(usable[:, None], maps, 0).argmax(axis=1)
    return np.where(usable, cover[np.arange(len(maps)), peak] > 0, np.nan)
