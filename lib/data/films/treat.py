"""What can be done to films before they become squares, against signs that are not disease.

A remedy takes away what tells the source of a film: its resolution, its border, its exposure. A
region control takes away the lungs, or all but the lungs, to ask what a model can do without them
(Maguolo & Nanni 2021, arXiv 2004.12823). They act in this order: border, region, intensity,
resolution; so nothing that was cut off or hidden can reach the rest through a window of intensity.
"""

import cv2
import numpy as np

from lib.data.films.film import ImageRefused, eight_bit
from lib.study.errors import DataError

WINDOW = (1, 99)
"""Percentiles that become black and white in the percentile window."""

CLIP_LIMIT, TILES = 2.0, (8, 8)
"""Of contrast-limited adaptive histogram equalisation (Zuiderveld 1994), as OpenCV counts them."""

MASKED = ("lungs_only", "lungs_masked_out")
"""The region controls that need a mask of the lungs."""


def has_masks(index):
    """Whether the index names a mask of the lungs for any film."""
    return "lung_mask" in index and bool((index["lung_mask"] != "").any())


def check_masks(index, remedies):
    """Raise `DataError` if a region control needs the lungs and the index names no mask of them."""
    if remedies.region in MASKED and not has_masks(index):
        found = "only blanks in it" if "lung_mask" in index else "no such column"
        raise DataError(
            f"data.remedies.region = {remedies.region!r}: needs the lungs, a column lung_mask of "
            f"the manifest that names a PNG for each film; found {found}. Add masks, or choose "
            "data.remedies.region=frame_only, which needs none."
        )


def apply(grey, remedies, *, lungs=None):
    """Treat one film.

    Parameters
    ----------
    grey : numpy.ndarray
        (h, w) uint8 or uint16, as decoded.
    lungs : numpy.ndarray, optional
        (h', w') bool, of the proportions of the film; needed by the regions of `MASKED`.

    Returns
    -------
    numpy.ndarray
        (h'', w'') uint8; hidden pixels are 0. Without any remedy, `films.film.eight_bit` of `grey`.
        Refused if nothing, or one level of grey, is left, or the mask that it needs is missing.
    """
    kept = _kept(grey.shape, remedies, lungs)
    grey, kept = (_cut_border(part, remedies.border_crop) for part in (grey, kept))
    if not kept.any():
        raise ImageRefused(f"nothing is left of the film by data.remedies.region={remedies.region}")
    grey = np.where(kept, grey, grey[kept].min())
    if remedies.intensity == "percentile":
        grey = _percentile_window(grey, kept)
    elif remedies.intensity == "clahe":
        grey = cv2.createCLAHE(clipLimit=CLIP_LIMIT, tileGridSize=TILES).apply(grey)
    shown = np.where(kept, eight_bit(grey), 0).astype(np.uint8)
    return _to_resolution(shown, remedies.common_resolution)


def apply_to_mask(mask, remedies):
    """Bring a mask to the geometry that `apply` gives its film; (h, w) bool to (h', w') bool."""
    mask = _cut_border(np.asarray(mask, bool), remedies.border_crop)
    return _to_resolution(mask.astype(np.float32), remedies.common_resolution) >= 0.5


def _kept(shape, remedies, lungs):
    """Pixels that the region control leaves, (h, w) bool."""
    kept = np.ones(shape, bool)
    if remedies.region == "frame_only":
        top, left = (round(remedies.frame_width * side) for side in shape)
        kept[top : shape[0] - top, left : shape[1] - left] = False
    elif remedies.region in MASKED:
        if lungs is None:
            raise ImageRefused(f"no lung mask (data.remedies.region={remedies.region} needs one)")
        size = (shape[1], shape[0])
        inside = cv2.resize(lungs.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) >= 0.5
        kept = inside if remedies.region == "lungs_only" else ~inside
    return kept


def _cut_border(image, fraction):
    top, left = (round(fraction * side) for side in image.shape)
    return image[top : image.shape[0] - top, left : image.shape[1] - left]


def _percentile_window(grey, kept):
    """Stretch the levels between two percentiles of the kept pixels linearly over 8 bits."""
    low, high = np.percentile(grey[kept], WINDOW)
    if low == high:
        raise ImageRefused(
            f"constant image (percentiles {WINDOW[0]} and {WINDOW[1]} are both {low:g}; "
            "data.remedies.intensity=percentile cannot stretch it)"
        )
    return np.rint(np.clip((grey - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def _to_resolution(image, longer_side):
    """Scale to a longer side in pixels, averaging areas where it shrinks; None: as it is."""
    if longer_side is None:
        return image
    height, width = image.shape
    scale = longer_side / max(height, width)
    size = tuple(max(1, round(scale * side)) for side in (width, height))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=how)
