"""What can be done to films before they become squares, against signs that are not disease.

A remedy takes away what tells the source of a film: its resolution, its border, its exposure. A
region control takes away the lungs, or all but the lungs, to ask what a model can do without them
(Maguolo & Nanni 2021, arXiv 2004.12823). They act in this order: border, region, intensity,
resolution; so nothing that was cut off or hidden can reach the rest through a window of intensity.
"""

from pathlib import Path

import cv2
import numpy as np

from lib.data.films.decode import decode, read_bytes
from lib.data.films.film import ImageRefused, eight_bit
from lib.study.errors import DataError

WINDOW = (1, 99)
"""Percentiles that become black and white in the percentile window."""

CLIP_LIMIT, TILES = 2.0, (8, 8)
"""Of contrast-limited adaptive histogram equalisation (Zuiderveld 1994), as OpenCV counts them."""

MASKED = ("lungs_only", "lungs_masked_out")


def read_mask(root, file, *, width, height):
    """Read a mask: inside is at least half of the file's maximum.

    Parameters
    ----------
    root : path-like
        Folder to which `file` is relative.
    file : str
        A PNG.
    width, height : int
        Of its film, in pixels.

    Returns
    -------
    numpy.ndarray
        Bool, of the shape that the file has.

    Raises
    ------
    DataError
        If it cannot be read or has other proportions than its film.
    """
    try:
        mask = decode(read_bytes(Path(root) / file)).grey
    except ImageRefused as refusal:
        raise DataError(
            f"{file}: mask refused: {refusal}; expected a PNG of the film's shape. "
            "Replace it or leave its field blank."
        ) from refusal
    if abs(mask.shape[1] * height - mask.shape[0] * width) > 0.01 * mask.shape[1] * height:
        raise DataError(
            f"{file}: found a mask of {mask.shape[1]}x{mask.shape[0]} pixels, expected the "
            f"proportions of its film, {width}x{height}. Export it again with the film."
        )
    return mask >= max(1, mask.max() / 2)


def has_masks(index):
    """Whether the index names a mask of the lungs for any film."""
    return "lung_mask" in index and bool((index["lung_mask"] != "").any())


def check_masks(index, remedies):
    """Check that there are lungs where a region control needs them.

    Raises
    ------
    DataError
        If the index has no column ``lung_mask``, or names no mask in it.
    """
    if remedies.region in MASKED and not has_masks(index):
        found = "only blanks in it" if "lung_mask" in index else "no such column"
        raise DataError(
            f"data.remedies.region = {remedies.region!r}: needs the lungs, a column lung_mask of "
            f"the manifest that names a PNG for each film; found {found}. Add masks, or choose "
            "data.remedies.region=frame_only, which needs none."
        )


def lungs_needed(root, file, shape, remedies):
    """`read_mask` of a named file where the region control asks for the lungs; None elsewhere."""
    if not file or remedies.region not in MASKED:
        return None
    return read_mask(root, file, width=shape[1], height=shape[0])


def apply(grey, remedies, *, lungs=None):
    """Treat one film.

    Parameters
    ----------
    grey : numpy.ndarray
        (h, w) uint8 or uint16, as decoded.
    remedies : lib.study.data_params.Remedies
    lungs : numpy.ndarray, optional
        (h', w') bool mask of `read_mask`; needed by the regions ``lungs_only`` and
        ``lungs_masked_out``.

    Returns
    -------
    numpy.ndarray
        (h'', w'') uint8; hidden pixels are 0. Without any remedy, `films.film.eight_bit` of `grey`.

    Raises
    ------
    ImageRefused
        If nothing, or one level of grey, is left of the film, or it has no mask of its lungs.
    """
    kept = _kept(grey.shape, remedies, lungs)
    grey, kept = (cut_border(part, remedies.border_crop) for part in (grey, kept))
    if not kept.any():
        raise ImageRefused(f"nothing is left of the film by data.remedies.region={remedies.region}")
    grey = np.where(kept, grey, grey[kept].min())
    if remedies.intensity == "percentile":
        grey = percentile_window(grey, kept)
    elif remedies.intensity == "clahe":
        grey = cv2.createCLAHE(clipLimit=CLIP_LIMIT, tileGridSize=TILES).apply(grey)
    shown = np.where(kept, eight_bit(grey), 0).astype(np.uint8)
    return to_resolution(shown, remedies.common_resolution)


def apply_to_mask(mask, remedies):
    """Bring a mask to the geometry that `apply` gives its film; (h, w) bool to (h', w') bool."""
    mask = cut_border(np.asarray(mask, bool), remedies.border_crop)
    return to_resolution(mask.astype(np.float32), remedies.common_resolution) >= 0.5


def cut_border(image, fraction):
    """Cut ``round(fraction * height)`` rows off the top and the bottom, and columns likewise."""
    top, left = (round(fraction * side) for side in image.shape)
    return image[top : image.shape[0] - top, left : image.shape[1] - left]


def percentile_window(grey, kept):
    """Stretch the levels between two percentiles linearly over 8 bits, and clip the others.

    Parameters
    ----------
    grey : numpy.ndarray
        (h, w) uint8 or uint16.
    kept : numpy.ndarray
        (h, w) bool: pixels that count for the percentiles, see `WINDOW`.

    Returns
    -------
    numpy.ndarray
        (h, w) uint8.

    Raises
    ------
    ImageRefused
        If both percentiles are the same level.
    """
    low, high = np.percentile(grey[kept], WINDOW)
    if low == high:
        raise ImageRefused(
            f"constant image (percentiles {WINDOW[0]} and {WINDOW[1]} are both {low:g}; "
            "data.remedies.intensity=percentile cannot stretch it)"
        )
    return np.rint(np.clip((grey - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def to_resolution(image, longer_side):
    """Scale an image to a longer side in pixels, averaging areas where it shrinks; None: as is."""
    if longer_side is None:
        return image
    height, width = image.shape
    scale = longer_side / max(height, width)
    size = tuple(max(1, round(scale * side)) for side in (width, height))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=how)


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


ASPECTS = ("letterbox", "crop", "squash")


def resize(image, *, size, aspect):
    """Bring a film to a square.

    Parameters
    ----------
    image : numpy.ndarray
        (h, w) uint8.
    size : int
        Side of the result in pixels.
    aspect : {"letterbox", "crop", "squash"}
        Keep all and pad the shorter side with black, keep the central square, or distort.

    Returns
    -------
    numpy.ndarray
        (size, size) uint8. Averaged over areas where it shrinks, linear where it grows.

    Raises
    ------
    DataError
        On another dtype, number of dimensions, size or aspect.
    """
    if getattr(image, "dtype", None) != np.uint8:
        found = getattr(image, "dtype", type(image))
        raise DataError(f"image: found {found}, expected a uint8 array. Read it by read_image.")
    return _square(image, size, aspect)


def resize_mask(mask, *, size, aspect):
    """Bring a mask to a square by the geometry of `resize`.

    Returns
    -------
    numpy.ndarray
        (size, size) bool: at least half of the pixel's area lies inside (h, w) `mask`.
    """
    return _square(np.asarray(mask, dtype=bool).astype(np.float32), size, aspect) >= 0.5


def _square(image, size, aspect):
    if image.ndim != 2 or not image.size:
        raise DataError(f"image: found shape {image.shape}, expected (h, w). Pass one grey image.")
    if aspect not in ASPECTS:
        raise DataError(f"aspect: found {aspect!r}, expected one of {ASPECTS}. Choose one of them.")
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise DataError(f"size: found {size!r}, expected a positive integer. Correct it.")
    height, width = image.shape
    if aspect == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        image = image[top : top + side, left : left + side]
        height = width = side
    longer = max(height, width)
    new = [size, size]
    if aspect == "letterbox":
        new = [max(1, round(size * side / longer)) for side in (height, width)]
    # Each axis shrinks or grows by itself: INTER_AREA stops averaging when one of the two grows.
    smaller = (min(new[1], width), min(new[0], height))
    image = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)
    image = cv2.resize(image, (new[1], new[0]), interpolation=cv2.INTER_LINEAR)
    square = np.zeros((size, size), image.dtype)
    top, left = (size - new[0]) // 2, (size - new[1]) // 2
    square[top : top + new[0], left : left + new[1]] = image
    return square
