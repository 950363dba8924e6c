"""The one way from a film's file to squares: read, decode, treat, resize. Masks follow their films.

`lib.data.cache` goes it for each row of an index; no other module decodes the films of a study.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lib.data.films import treat
from lib.data.films.decode import decode, read_bytes
from lib.data.films.film import ImageRefused, eight_bit
from lib.study.data_params import Remedies
from lib.study.errors import DataError

ANOTHER_VIEW = "another view"
MASK_SHARE = 0.99
"""Of the pixels of a mask; JPEG, or a change of its size, blurs the edges."""
OUTLYING = "a few pixels far outside the rest stretch its grey levels"


@dataclass(frozen=True)
class Squares:
    """How the files of a collection become squares.

    Attributes
    ----------
    root : Path
        Folder to which files are relative.
    sizes, aspect
        Sides in pixels; see `resize`.
    remedies : Remedies, optional
        What is done to a film first, see `lib.data.films.treat.apply`.
    views : sequence of str
        View positions to take; films of another known view are refused. All if there are none.
    measure : callable, optional
        See `lib.data.audit.measures.measure`.
    """

    root: Path
    sizes: Sequence[int]
    aspect: str
    remedies: Remedies | None = None
    views: Sequence[str] = ()
    measure: Callable | None = None

    @property
    def treated(self) -> bool:
        """Whether remedies change the films."""
        return self.remedies is not None and self.remedies.active

    def of_film(self, file, *, view="", lung_mask=""):
        """Read, decode, treat and resize one film; its view and mask as the index has them.

        Returns
        -------
        facts : dict
            ``sha256``, ``width`` and ``height`` of the file, and what `measure` returns.
        header : dict
            ``view`` (of the index, else of the file), ``dicom_patient`` and ``remarks``.
        squares : list of numpy.ndarray
            (size, size) uint8 for each of the sizes.

        Raises
        ------
        ImageRefused
            If the film is unusable, of another view, or nothing is left of it.
        """
        data = read_bytes(self.root / file)
        digest = hashlib.sha256(data).hexdigest()  # now, while the bytes are at hand
        film = decode(data)
        view = view or film.view
        if self.views and view and view not in self.views:
            raise ImageRefused(f"{ANOTHER_VIEW} (found {view}; expected {', '.join(self.views)})")
        shown = eight_bit(film.grey)
        if _like_a_mask(shown):
            raise ImageRefused("two grey levels (a mask or a drawing, expected a film)")
        height, width = shown.shape
        treated, lungs = shown, None
        if self.treated:
            if lung_mask and self.remedies.region in treat.MASKED:
                lungs = self._mask(lung_mask, width=width, height=height)
            treated = treat.apply(film.grey, self.remedies, lungs=lungs)
        facts = {"sha256": digest, "width": width, "height": height}
        if self.measure:
            facts |= self.measure(film, shown, len(data), treated)
        squares = [resize(treated, size=size, aspect=self.aspect) for size in self.sizes]
        remarks = (*film.remarks, *([OUTLYING] if _outlying(film.grey, shown) else []))
        told = {"dicom_patient": film.patient_id, "remarks": "; ".join(remarks)}
        return facts, {"view": view, **told}, squares

    def of_mask(self, file, *, width, height):
        """Bring a mask to the squares of its film, which has that many pixels: a list of bool.

        Inside is at least half of the maximum of the file; no file ("") has no inside. A mask that
        cannot be read or has other proportions than its film is a DataError.
        """
        if not file:
            return [np.zeros((size, size), bool) for size in self.sizes]
        mask = self._mask(file, width=width, height=height)
        if self.treated:
            mask = treat.apply_to_mask(mask, self.remedies)
        return [resize_mask(mask, size=size, aspect=self.aspect) for size in self.sizes]

    def _mask(self, file, *, width, height):
        try:
            mask = decode(read_bytes(self.root / file)).grey
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


def _like_a_mask(shown):
    """Whether nearly all pixels are as dark as the darkest or as bright as the brightest."""
    for part in (shown[::16, ::16], shown):  # a sample tells most films
        low, high = int(part.min()), int(part.max())
        near = min(8, (high - low) // 8)
        if ((part <= low + near) | (part >= high - near)).mean() < MASK_SHARE:
            return False
    return True


def _outlying(grey, shown):
    """Whether a few pixels take most of the range of a film that is stretched over its own."""
    if grey.dtype != np.uint16:
        return False
    shares = cv2.calcHist([shown], [0], None, [256], [0, 256]).ravel() / shown.size
    low, high = np.searchsorted(np.cumsum(shares, dtype=np.float64), [0.001, 0.999])
    return high - low < 64


def resize(image, *, size, aspect):
    """Bring a film, (h, w), to a square, (size, size) of the same type.

    It is averaged over areas where it shrinks, and linear where it grows.

    Parameters
    ----------
    aspect : {"letterbox", "crop", "squash"}
        Keep all and pad the shorter side with black, keep the central square, or distort.
    """
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


def resize_mask(mask, *, size, aspect):
    """Bring a mask to a square, bool, as `resize`: half of a pixel's area or more is inside."""
    mask = np.asarray(mask, bool).astype(np.float32)
    return resize(mask, size=size, aspect=aspect) >= 0.5
