"""One film from its file: decode PNG, JPEG, TIFF or DICOM to grey, and refuse what is unusable."""

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from lib.data.films import dicom
from lib.data.films.film import MAX_BYTES, Film, ImageRefused, check_size, deep

PNG, JPEG, TIFF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# Pillow's readers by name, not Image.open: one that guesses would open twenty other formats.
READERS = {PNG: PngImagePlugin.PngImageFile, JPEG: JpegImagePlugin.JpegImageFile}
READERS |= dict.fromkeys(TIFF, TiffImagePlugin.TiffImageFile)
ENDS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9", "TIFF": b""}
ARCHIVES = {b"PK": "ZIP", b"7z\xbc\xaf": "7z", b"Rar!": "RAR", b"\x1f\x8b": "gzip"}
OTHER_FORMATS = {b"GIF8": "GIF", b"BM": "BMP", b"RIFF": "WebP", b"%PDF": "PDF"}
OTHER_FORMATS |= {b"\x08\0": "DICOM without its preamble; rewrite it as a DICOM file"}
# Tags of TIFF (ORIENTATION of EXIF too), and values of them.
PHOTOMETRIC, BITS, COMPRESSION, PLANES, SAMPLES, ORIENTATION = 262, 258, 259, 284, 339, 274
WHITE_IS_ZERO, UNCOMPRESSED, SEPARATE, UNSIGNED, SIGNED = 0, 1, 2, 1, 2
# Pillow reads these bits and samples as others of their size.
MISREAD = {(8, SIGNED): np.int8, (32, UNSIGNED): np.uint32}


def read_bytes(path):
    """Read a file whole; refused if missing, no regular file, over 1 GiB, or unreadable."""
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
    """Decode the bytes of a film to a `Film` of the same depth; told by content, not by name.

    Colour becomes luma (ITU-R 601), transparent parts become black, an EXIF rotation is applied.
    DICOM is shown as its header says, see `lib.data.films.dicom.decode`.

    Raises
    ------
    ImageRefused
        Empty, of another format, cannot be decoded, truncated, of several pages, under 32 pixels on
        a side, over 100 megapixels (from the header, before decoding), or not finite.
    """
    if not data:
        raise ImageRefused("empty file")
    reader = next((reader for magic, reader in READERS.items() if data.startswith(magic)), None)
    if dicom.is_dicom(data):  # first: its preamble may look like a TIFF (PS3.10 7.1)
        reader = None
    elif reader is None:
        raise ImageRefused(_other_format(data))
    try:
        return dicom.decode(data) if reader is None else _decode_picture(data, reader)
    except (ImageRefused, MemoryError):
        raise
    except Exception as error:  # hostile bytes reach every exception of a decoder
        cut = reader is not None and ENDS[reader.format] not in data
        if cut or "truncated" in str(error).lower():
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


def _decode_picture(data, reader):
    picture = reader(io.BytesIO(data))
    check_size(*picture.size)
    if (pages := getattr(picture, "n_frames", 1)) > 1:
        raise ImageRefused(f"several pages (found {pages}; expected one film)")
    if data.rfind(ENDS[picture.format]) < 0:  # from the end, where it is
        raise ImageRefused("truncated")
    tags = picture.tag_v2 if picture.format == "TIFF" else {}
    depth = data[24] if picture.format == "PNG" else max(tags.get(BITS, (8,)))
    samples = max(tags.get(SAMPLES, (UNSIGNED,)))
    # What has one or eight bits Pillow inverts itself.
    inverted = tags.get(PHOTOMETRIC) == WHITE_IS_ZERO and picture.mode not in ("1", "L")
    orientation = picture.getexif().get(ORIENTATION, 1)
    colour = picture.mode not in ("1", "L", "F") and not picture.mode.startswith("I")
    _check_samples(tags, swapped=data.startswith(b"MM"), deep_colour=colour and depth == 16)
    picture.load()
    if depth == 16 and colour:
        grey = _rotated(_deep_colour(data), orientation)
    else:
        # Without an orientation this would copy the film.
        upright = picture if orientation == 1 else ImageOps.exif_transpose(picture)
        misread = MISREAD.get((depth, samples)) if tags and not colour else None
        grey = _grey(upright, misread)
    return Film(np.iinfo(grey.dtype).max - grey if inverted else grey, picture.format, colour)


def _check_samples(tags, *, swapped, deep_colour):
    if deep_colour and tags.get(PLANES) == SEPARATE:  # OpenCV 5.0 reads past the first plane
        raise ImageRefused("cannot be decoded (16-bit colour in separate planes; save it as grey)")
    packed = tags.get(COMPRESSION, UNCOMPRESSED) != UNCOMPRESSED
    if swapped and packed and max(tags.get(SAMPLES, (UNSIGNED,))) != UNSIGNED:
        # Pillow 12 swaps the bytes twice.
        raise ImageRefused(
            "cannot be decoded (big-endian, compressed, signed or floating; save it uncompressed)"
        )


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


def _grey(picture, misread=None):
    if misread or picture.mode.startswith(("I", "F")):
        values = np.asarray(picture)
        values = values.view(misread) if misread else values
        whole = values.dtype.kind in "iu" and values.min() >= 0 and values.max() <= 65535
        return values.astype(np.uint16, copy=False) if whole else deep(values)
    if picture.has_transparency_data:
        black = Image.new("RGBA", picture.size, "black")
        picture = Image.alpha_composite(black, picture.convert("RGBA"))
    return np.asarray(picture if picture.mode == "L" else picture.convert("RGB").convert("L"))
