"""The grey levels that a DICOM film shows, and what its header contradicts.

The chain is that of the standard (PS3.3 C.11): modality LUT or rescale, VOI LUT or window, and
inversion of MONOCHROME1. It is computed once for each stored value and not for each pixel: a film
of millions of pixels has at most 65,536 values, but for the rare one of 32 bits.
"""

import cv2
import numpy as np
from pydicom.multival import MultiValue
from pydicom.pixels import apply_modality_lut, apply_voi, apply_windowing
from pydicom.uid import RLELossless

from lib.data.films.film import ImageRefused, deep

FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
SHAPES = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}
BURNED_IN = "burned-in annotation"


def shown(raw, header):
    """Grey levels as displayed.

    Of several windows or VOI LUTs the first that is one is applied. What only holds the place of a
    value is passed over as by viewers: a window without a positive width, a function unknown to the
    standard, a table without entries, a slope of 0 or without an intercept.

    Of stored values, integers, (h, w), to uint8; without any window or VOI LUT to uint16 from the
    film's minimum to its maximum, or the stored values of a film of 8 bits. Padding is black; a
    constant film is refused.
    """
    drop_placeholders(header)
    low, high = int(raw.min()), int(raw.max())
    if high - low < 2**16:
        stored = np.arange(low, high + 1)
        places = (raw - raw.dtype.type(low)).astype(np.uint16)  # what wraps round comes out right
    else:
        stored, places = np.unique(raw, return_inverse=True)
        places = places.reshape(raw.shape)
    return _levels(stored, places, raw.dtype, header)[places]


def _levels(stored, places, dtype, header):
    """The level of each stored value."""
    values = apply_modality_lut(stored, header)
    padding, window = _padding(stored, header), _window(header)
    if header.get("VOILUTSequence"):
        entries, first, _ = header.VOILUTSequence[0].LUTDescriptor
        # A float would be looked up by truncation, and pydicom warns of it.
        levels = apply_voi(np.rint(values).astype(np.int64), header)
        # Not the bits that it declares: 12-bit tables in 16 bits would come out black.
        white = apply_voi(np.arange(first, first + (entries or 2**16)), header).max()
        levels = _eight(levels, 0, max(int(white), 1))
    elif window is not None:
        with np.errstate(over="ignore"):  # of the sigmoid, far out
            limits = apply_windowing(np.array([-1e12, 1e12]), header, window)
            levels = _eight(apply_windowing(values, header, window), *limits)
    elif dtype == np.uint8 and values is stored:
        levels = stored.astype(np.uint8)
    else:
        inside = values[~padding & _present(places, len(stored))]
        if not inside.size:
            raise ImageRefused("constant image")
        levels = deep(np.where(padding, inside.min(), np.clip(values, inside.min(), inside.max())))
    if header.PhotometricInterpretation == "MONOCHROME1":
        levels = np.iinfo(levels.dtype).max - levels
    levels[padding] = 0
    return levels


def _present(places, number):
    if places.dtype != np.uint16:
        return np.ones(number, bool)
    return cv2.calcHist([places], [0], None, [number], [0, number]).ravel() > 0


def _eight(values, black, white):
    return np.rint(np.clip((values - black) / (white - black), 0, 1) * 255).astype(np.uint8)


def _padding(stored, header):
    first = header.get("PixelPaddingValue")
    if first is None:
        return np.zeros(stored.shape, bool)
    last = header.get("PixelPaddingRangeLimit")
    low, high = sorted((int(first), int(first if last is None else last)))
    return (stored >= low) & (stored <= high)


def drop_placeholders(header):
    """Take out of a header what says nothing, so that pydicom neither applies nor refuses it."""
    if str(header.get("VOILUTFunction") or "").upper() not in FUNCTIONS:
        _drop(header, "VOILUTFunction")
    slope, intercept = (_numbers(header, f"Rescale{name}")[:1] for name in ("Slope", "Intercept"))
    if not all(np.isfinite([*slope, *intercept])) or 0 in slope or not (slope and intercept):
        slope, intercept = [1], [0]
    if (slope, intercept) == ([1], [0]):  # many writers add these
        _drop(header, "RescaleSlope", "RescaleIntercept")
    for name in ("ModalityLUTSequence", "VOILUTSequence"):
        tables = [item for item in header.get(name) or () if _is_table(item)]
        _drop(header, name)
        if tables:
            setattr(header, name, tables)
            # pydicom 3.0 counts the entries in the type of their values: 8 bits wrap round after
            # 255, and there is no type of 12.
            tables[0].LUTDescriptor = [*tables[0].LUTDescriptor[:2], 16]


def _is_table(item):
    descriptor, entries = item.get("LUTDescriptor"), item.get("LUTData")
    return len(descriptor or ()) == 3 and hasattr(entries, "__len__") and len(entries) > 0


def _drop(header, *names):
    for name in names:
        if name in header:
            delattr(header, name)


def _window(header):
    """Number of the first window that has a width, or None."""
    exact = str(header.get("VOILUTFunction") or "LINEAR").upper() != "LINEAR"
    centres, widths = (_numbers(header, f"Window{name}") for name in ("Center", "Width"))
    for number, (centre, width) in enumerate(zip(centres, widths, strict=False)):
        if np.isfinite([centre, width]).all() and (width > 0 if exact else width >= 1):
            return number
    return None


def _numbers(header, name):
    value = header.get(name)
    try:
        return [float(each) for each in (value if isinstance(value, MultiValue) else [value])]
    except (TypeError, ValueError):
        return []


def remarks(header):
    """What a reader of the film should know: contradictions and burned-in text, in words."""
    found = []
    if str(header.get("BurnedInAnnotation") or "").strip().upper() == "YES":
        found.append(BURNED_IN)
    colours, shape = header.PhotometricInterpretation, header.get("PresentationLUTShape")
    if shape and SHAPES.get(colours, shape) != str(shape).strip().upper():
        found.append(f"PresentationLUTShape contradicts {colours}, which is followed")
    if _numbers(header, "RescaleSlope") and not _numbers(header, "RescaleIntercept"):
        found.append("RescaleSlope without RescaleIntercept, not applied")
    if left_aligned(header):
        found.append("HighBit says left-aligned bits, which are shifted")
    return tuple(found)


def left_aligned(header):
    """By how many bits the stored values lie too high; 0 as the standard has it since 1998."""
    syntax = header.file_meta.get("TransferSyntaxUID")
    if syntax is not None and syntax.is_encapsulated and syntax != RLELossless:
        return 0  # a code stream has a depth of its own
    allocated, stored, high = (
        int(header.get(name) or 0) for name in ("BitsAllocated", "BitsStored", "HighBit")
    )
    return max(high + 1 - stored, 0) if stored > 0 and high < allocated else 0
