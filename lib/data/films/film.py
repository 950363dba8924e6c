"""What the readers of films share: the refusal, the limits, the result, and the way to 8 bits."""

from dataclasses import dataclass

import numpy as np

MIN_SIDE, MAX_PIXELS, MAX_BYTES = 32, 100_000_000, 2**30
MOST_REJECTED = 0.5
"""Of the files of a collection, unless the study asked for it (other classes, other views)."""


class ImageRefused(ValueError):
    """One file is unusable; the message is the reason, details in brackets."""


@dataclass(frozen=True)
class Film:
    """A decoded film and the little that is kept of its header.

    ``grey`` is (h, w) uint8 or uint16, ``format`` "PNG", "JPEG", "TIFF" or "DICOM"; ``colour`` says
    whether the file held more than grey, ``view`` and ``patient_id`` what a DICOM file tells, and
    ``remarks`` what its header contradicts or warns of, in words.
    """

    grey: np.ndarray
    format: str
    colour: bool = False
    view: str = ""
    patient_id: str = ""
    remarks: tuple[str, ...] = ()


def check_size(width, height):
    """Refuse (`ImageRefused`) a film by the size in its header, before anything is decoded."""
    if min(width, height) < MIN_SIDE:
        raise ImageRefused(f"smaller than 32 pixels on a side (found {width}x{height})")
    if width * height > MAX_PIXELS:
        raise ImageRefused(f"larger than 100 megapixels (found {width}x{height})")


def deep(pixels):
    """Stretch pixels (h, w) of any number type over uint16, from their own minimum and maximum.

    Refused if not finite, or constant.
    """
    if wrong := int((~np.isfinite(pixels)).sum()):
        raise ImageRefused(f"not finite (found {wrong} pixels that are NaN or infinite)")
    values = pixels.astype(np.float64)
    low, high = values.min(), values.max()
    if low == high:
        raise ImageRefused("constant image")
    # Halves, so that the difference of the largest floats does not overflow.
    return np.rint((values / 2 - low / 2) / (high / 2 - low / 2) * 65535).astype(np.uint16)


def eight_bit(pixels):
    """A film (h, w) as uint8: uint16 is stretched from its own minimum and maximum.

    10-, 12- and 16-bit detectors all store into 16 bits, so that the range of the dtype would
    render some films black. A constant film is refused.
    """
    if (pixels[0] == pixels[0, 0]).all() and (pixels == pixels[0, 0]).all():  # mostly one row
        raise ImageRefused("constant image")
    if pixels.dtype == np.uint16:
        low, high = int(pixels.min()), int(pixels.max())
        scaled = (pixels.astype(np.float32) - low) * np.float32(255 / (high - low))
        pixels = np.rint(scaled).astype(np.uint8)
    return pixels
