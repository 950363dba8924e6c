"""One film: decode a PNG or JPEG, refuse what is unusable, bring it to a square."""

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin, PngImagePlugin

from lib.data import DataError

ASPECTS = ("letterbox", "crop", "squash")
MIN_SIDE, MAX_PIXELS, MAX_BYTES = 32, 100_000_000, 2**30
# Pillow's readers by name, not Image.open: one that guesses would open twenty other formats.
FORMATS = {
    b"\x89PNG\r\n\x1a\n": (PngImagePlugin.PngImageFile, b"IEND\xaeB`\x82"),
    b"\xff\xd8\xff": (JpegImagePlugin.JpegImageFile, b"\xff\xd9"),
}
OTHER_FORMATS = {b"GIF8": "GIF", b"BM": "BMP", b"RIFF": "WebP", b"%PDF": "PDF", b"PK": "ZIP"}
OTHER_FORMATS |= {b"II*\0": "TIFF", b"MM\0*": "TIFF"}


class ImageRefused(ValueError):
    """One file is unusable; the message is the reason, details in brackets."""


def read_image(path):
    """Read one PNG or JPEG film as 8-bit grey.

    Colour becomes luma (ITU-R 601), transparent parts become black, an EXIF rotation is applied.
    16-bit films are stretched linearly from their own minimum and maximum: 10-, 12- and 16-bit
    detectors all store into 16 bits, so the range of the dtype would render some of them black.

    Returns
    -------
    numpy.ndarray
        (h, w) uint8.

    Raises
    ------
    ImageRefused
        Missing, empty, of another format, cannot be decoded, truncated, under 32 pixels on a side,
        over 100 megapixels (from the header, before decoding), or constant.
    """
    return eight_bit(decode(read_bytes(path)))


def read_bytes(path):
    """Read a file whole.

    Raises
    ------
    ImageRefused
        Missing, no regular file, over 1 GiB, or unreadable.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise ImageRefused("missing")
        if not path.is_file():
            raise ImageRefused("not a regular file")
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ImageRefused(f"larger than 1 GiB on disk (found {size} bytes)")
        return path.read_bytes()
    except OSError as error:
        raise ImageRefused(f"cannot be read ({error.strerror})") from error


def decode(data):
    """Decode the bytes of a PNG or JPEG file to grey, at the depth that they have.

    Returns
    -------
    numpy.ndarray
        (h, w) uint8 or uint16.

    Raises
    ------
    ImageRefused
        As in `read_image`, a constant film apart.
    """
    if not data:
        raise ImageRefused("empty file")
    reader, end = next((f for magic, f in FORMATS.items() if data.startswith(magic)), (None, b""))
    if reader is None:
        other = (name for magic, name in OTHER_FORMATS.items() if data.startswith(magic))
        found = "DICOM" if data[128:132] == b"DICM" else next(other, f"bytes {data[:8].hex(' ')}")
        raise ImageRefused(f"not a PNG or JPEG file (found {found})")
    try:
        picture = reader(io.BytesIO(data))
        width, height = picture.size
        if min(width, height) < MIN_SIDE:
            raise ImageRefused(f"smaller than 32 pixels on a side (found {width}x{height})")
        if width * height > MAX_PIXELS:
            raise ImageRefused(f"larger than 100 megapixels (found {width}x{height})")
        picture.load()
        grey = _grey(ImageOps.exif_transpose(picture), data)
    except (ImageRefused, MemoryError):
        raise
    except Exception as error:  # hostile bytes reach every exception of a decoder
        if end not in data or "truncated" in str(error).lower():
            raise ImageRefused("truncated") from error
        raise ImageRefused(f"cannot be decoded ({type(error).__name__}: {error})") from error
    if end not in data:
        raise ImageRefused("truncated")
    return grey


def _grey(picture, data):
    if picture.mode.startswith("I"):
        return np.asarray(picture).astype(np.uint16)
    if data.startswith(b"\x89PNG") and data[24] == 16:
        # Pillow drops the low byte of 16-bit colour, which is most of a 12-bit film.
        deep = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        grey = cv2.cvtColor(deep[..., :3], cv2.COLOR_BGR2GRAY)
        return grey if deep.shape[2] == 3 else np.rint(grey * (deep[..., 3] / 65535)).astype("u2")
    if picture.has_transparency_data:
        black = Image.new("RGBA", picture.size, "black")
        picture = Image.alpha_composite(black, picture.convert("RGBA"))
    return np.asarray(picture if picture.mode == "L" else picture.convert("RGB").convert("L"))


def eight_bit(pixels):
    """Refuse a constant film, and stretch one of 16 bits over 8; see `read_image`.

    Parameters
    ----------
    pixels : numpy.ndarray
        (h, w) uint8 or uint16.

    Returns
    -------
    numpy.ndarray
        (h, w) uint8.

    Raises
    ------
    ImageRefused
        Constant.
    """
    low, high = int(pixels.min()), int(pixels.max())
    if low == high:
        raise ImageRefused("constant image")
    if pixels.dtype == np.uint16:
        scaled = (pixels.astype(np.float32) - low) * np.float32(255 / (high - low))
        pixels = np.rint(scaled).astype(np.uint8)
    return pixels


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
