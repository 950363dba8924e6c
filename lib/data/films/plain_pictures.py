"""Whole, plain grey PNG and JPEG, by OpenCV: the way of nearly every film, and the quick one.

The pixels are those of Pillow, which takes the interpreter anew for every part of a file, so that
threads wait for each other. What is not plain, or does not look whole, is left to Pillow: OpenCV
reserves the memory that a false length claims, and shows what it could read of a damaged JPEG.
"""

import cv2
import numpy as np

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
