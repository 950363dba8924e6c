"""One film: decode PNG, JPEG, TIFF or DICOM, refuse what is unusable, bring it to a square."""

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from lib.data.films import dicom
from lib.data.films.film import MAX_BYTES, Film, ImageRefused, check_size, deep, eight_bit

# Pillow's readers by name, not Image.open: one that guesses would open twenty other formats.
PNG, JPEG, TIFF = (
    (PngImagePlugin.PngImageFile, "PNG", b"IEND\xaeB`\x82"),
    (JpegImagePlugin.JpegImageFile, "JPEG", b"\xff\xd9"),
    (TiffImagePlugin.TiffImageFile, "TIFF", b""),
)
FORMATS = {b"\x89PNG\r\n\x1a\n": PNG, b"\xff\xd8\xff": JPEG, b"II*\0": TIFF, b"MM\0*": TIFF}
FORMATS |= {b"II+\0": TIFF, b"MM\0+": TIFF}
OTHER_FORMATS = {b"GIF8": "GIF", b"BM": "BMP", b"RIFF": "WebP", b"%PDF": "PDF"}
OTHER_FORMATS |= {b"\x08\0": "DICOM without its preamble; rewrite it as a DICOM file"}
ARCHIVES = {b"PK": "ZIP", b"7z\xbc\xaf": "7z", b"Rar!": "RAR", b"\x1f\x8b": "gzip"}
# Tags of TIFF (the last one of EXIF too), and a value of the first.
PHOTOMETRIC, BITS, ORIENTATION, WHITE_IS_ZERO = 262, 258, 274, 0


def read_image(path):
    """Read one film (PNG, JPEG, TIFF or DICOM) as 8-bit grey.

    Colour becomes luma (ITU-R 601), transparent parts become black, an EXIF rotation is applied.
    16-bit films are stretched linearly from their own minimum and maximum: 10-, 12- and 16-bit
    detectors all store into 16 bits, so the range of the dtype would render some of them black.
    DICOM is shown as its header says, see `lib.data.films.dicom.decode`.

    Returns
    -------
    numpy.ndarray
        (h, w) uint8.

    Raises
    ------
    ImageRefused
        Missing, empty, of another format, cannot be decoded, truncated, of several pages, under 32
        pixels on a side, over 100 megapixels (from the header, before decoding), not finite, or
        constant.
    """
    return eight_bit(decode(read_bytes(path)).grey)


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
    """Decode the bytes of a film to grey, at the depth that they have; told by content, not name.

    Returns
    -------
    lib.data.films.film.Film

    Raises
    ------
    ImageRefused
        As in `read_image`, a constant film apart.
    """
    if not data:
        raise ImageRefused("empty file")
    reader, name, end = next(
        (f for magic, f in FORMATS.items() if data.startswith(magic)), (None,) * 3
    )
    if reader is None and not dicom.is_dicom(data):
        raise ImageRefused(_other_format(data))
    try:
        return dicom.decode(data) if reader is None else _decode_picture(data, reader, name, end)
    except (ImageRefused, MemoryError):
        raise
    except Exception as error:  # hostile bytes reach every exception of a decoder
        if (end and end not in data) or "truncated" in str(error).lower():
            raise ImageRefused("truncated") from error
        text = " ".join(str(error).split())[:200]
        raise ImageRefused(f"cannot be decoded ({type(error).__name__}: {text})") from error


def _other_format(data):
    for magic, name in ARCHIVES.items():
        if data.startswith(magic):
            return f"archive (found {name}; unpack it beside and list or place the films in it)"
    other = (name for magic, name in OTHER_FORMATS.items() if data.startswith(magic))
    found = next(other, f"bytes {data[:8].hex(' ')}")
    return f"not a PNG, JPEG, TIFF or DICOM file (found {found})"


def _decode_picture(data, reader, name, end):
    picture = reader(io.BytesIO(data))
    check_size(*picture.size)
    if (pages := getattr(picture, "n_frames", 1)) > 1:
        raise ImageRefused(f"several pages (found {pages}; expected one film)")
    if data.rfind(end) < 0:  # from the end, where it is
        raise ImageRefused("truncated")
    inverted = (
        name == "TIFF"
        and picture.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO
        and picture.mode not in ("1", "L")  # these Pillow inverts itself
    )
    depth = (
        data[24] if name == "PNG" else max(picture.tag_v2.get(BITS, (8,))) if name == "TIFF" else 8
    )
    if name != "TIFF" and (grey := decode_plain(data, picture)) is not None:
        return Film(grey, name)
    orientation = picture.getexif().get(ORIENTATION, 1)
    picture.load()
    colour = picture.mode not in ("1", "L", "F") and not picture.mode.startswith("I")
    if depth == 16 and colour:
        grey = _rotated(_deep_colour(data), orientation)
    else:
        # Without an orientation this would copy the film.
        grey = _grey(picture if orientation == 1 else ImageOps.exif_transpose(picture))
    return Film(np.iinfo(grey.dtype).max - grey if inverted else grey, name, colour)


def _deep_colour(data):
    # Pillow drops the low byte of 16-bit colour, which is most of a 12-bit film.
    colours = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    grey = cv2.cvtColor(colours[..., :3], cv2.COLOR_BGR2GRAY)
    if colours.shape[2] == 3:
        return grey
    return np.rint(grey * (colours[..., 3] / 65535)).astype(np.uint16)


def _rotated(grey, orientation):
    picture = Image.fromarray(grey)
    picture.getexif()[ORIENTATION] = orientation
    return np.asarray(ImageOps.exif_transpose(picture))


def _grey(picture):
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture)
        whole = values.dtype.kind in "iu" and values.min() >= 0 and values.max() <= 65535
        return values.astype(np.uint16) if whole else deep(values)
    if picture.has_transparency_data:
        black = Image.new("RGBA", picture.size, "black")
        picture = Image.alpha_composite(black, picture.convert("RGBA"))
    return np.asarray(picture if picture.mode == "L" else picture.convert("RGB").convert("L"))


# Chunks of a PNG that leave its grey levels and their places alone.
PLAIN_CHUNKS = (b"IDAT", b"IEND", b"pHYs", b"tIME", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD")
# Segments of a JPEG of which the same is true: both sequential frames (not progressive), Huffman
# tables, quantisation, restarts, JFIF, comment; and the first of the pixels.
PLAIN_SEGMENTS = (0xC0, 0xC1, 0xC4, 0xDB, 0xDD, 0xE0, 0xFE)
SCAN, END_OF_IMAGE = 0xDA, 0xD9


def decode_plain(data, picture):
    """Decode a plain grey film.

    Parameters
    ----------
    data : bytes
        A PNG or JPEG file.
    picture : PIL.Image.Image
        The same, opened and not loaded.

    Returns
    -------
    numpy.ndarray or None
        (h, w) uint8 or uint16; None of anything else, and if OpenCV cannot read it.
    """
    if picture.format == "PNG":
        dtype = {(8, "L"): np.uint8, (16, "I;16"): np.uint16}.get((data[24], picture.mode))
        plain = dtype is not None and not picture.has_transparency_data and _plain_chunks(data)
    else:
        dtype, plain = np.uint8, picture.mode == "L" and _plain_segments(data)
    if not plain:
        return None
    grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    whole = grey is not None and grey.dtype == dtype and grey.shape == picture.size[::-1]
    return grey if whole else None


def _plain_chunks(data):
    """Whether a PNG consists of whole, plain chunks, and nothing more.

    Text may hold a rotation, which Pillow looks for behind the pixels too, by decoding them.
    """
    place = data.startswith(b"\0\0\0\rIHDR", 8) and 33
    while place and (name := data[place + 4 : place + 8]) in PLAIN_CHUNKS:
        place += 12 + int.from_bytes(data[place : place + 4])  # a length, name and checksum each
        if name == b"IEND":
            return place == len(data)
    return False


def _plain_segments(data):
    """Whether a JPEG consists of plain segments and one scan that ends with the file."""
    place = 2
    while data[place : place + 1] == b"\xff" and place + 4 <= len(data):
        name, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        place += 2 + length
        if name == SCAN:
            return _whole_scan(np.frombuffer(data, np.uint8)[place:])
        if name not in PLAIN_SEGMENTS:
            return False
    return False


def _whole_scan(scan):
    """Whether the only marker among the coded pixels, restarts apart, is the end of the image."""
    marks = scan[np.flatnonzero(scan[:-1] == 0xFF) + 1]
    inner = marks[:-1]
    pixels = ((inner == 0) | (inner >> 3 == 0xD0 >> 3)).all()  # 0xFF itself, and eight restarts
    return bool(pixels) and scan[-2:].tolist() == [0xFF, END_OF_IMAGE]
