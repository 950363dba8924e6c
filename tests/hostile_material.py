"""What may lie in a folder of films: files to refuse, each with its reason, and odd sound ones."""

import struct
import zlib

import numpy as np
from dicom_material import dicom, recoded
from material import encoded, film
from PIL import Image
from pydicom import uid


def png_of_claimed_size(width, height):
    """A complete PNG of a few bytes that unpacks to as many pixels as it claims, or fewer."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return png_of_chunks((b"IHDR", header), (b"IDAT", zlib.compress(bytes(10**6))), (b"IEND", b""))


def png_of_chunks(*chunks):
    content = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks:
        checksum = struct.pack(">I", zlib.crc32(name + body))
        content += struct.pack(">I", len(body)) + name + body + checksum
    return content


def jpeg_of_claimed_size(width, height):
    """A small JPEG whose frame header claims another size."""
    content = bytearray(encoded(film(), "JPEG"))
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(content)


OTHER = "not a PNG, JPEG, TIFF or DICOM file (found "
NANS = np.where(film() > 99, np.nan, film()).astype(np.float32)
HOSTILE = {
    "zero.png": (b"", "empty file"),
    "truncated.png": (encoded(film())[:300], "truncated"),
    "truncated.dcm": (dicom(film())[:600], "cannot be decoded"),
    "text.png": (b"a film, says the name", f"{OTHER}bytes 61 20 66 69 6c 6d 2c 20)"),
    "zip.png": (
        b"PK\3\4 and so on",
        "archive (found ZIP; unpack it beside and list or place the films in it)",
    ),
    "pickle.png": (b"\x80\x04K\x01.", f"{OTHER}bytes 80 04 4b 01 2e)"),
    "bomb.png": (png_of_claimed_size(9_999, 9_999), "constant image"),
    "huge.png": (
        png_of_claimed_size(30_000, 30_000),
        "larger than 100 megapixels (found 30000x30000)",
    ),
    "dot.png": (encoded(film()[:1, :1]), "smaller than 32 pixels on a side (found 1x1)"),
    "nan.tif": (
        encoded(NANS, "TIFF"),
        f"not finite (found {np.isnan(NANS).sum()} pixels that are NaN or infinite)",
    ),
    "flat.png": (encoded(np.full((40, 40), 7, np.uint8)), "constant image"),
    "ct.dcm": (dicom(film(), Modality="CT"), "not a radiograph"),
    "cine.dcm": (dicom(film(), NumberOfFrames=40), "several frames"),
    "lossless.dcm": (
        dicom(film(), syntax=uid.JPEGLosslessSV1, frames=[b"\xff\xd8\xff\xd9"]),
        "cannot be decoded",
    ),
    "htj2k.dcm": (
        dicom(film(), syntax=uid.HTJ2KLossless, frames=[b"\xff\x4f\xff\xd9"]),
        "no decoder for High-Throughput JPEG 2000",
    ),
}
READABLE = {
    "two words.png": encoded(film(31)),
    "größe 肺.png": encoded(film(32)),
    "new\nline.png": encoded(film(33)),
    'com,ma "quote".png': encoded(film(34)),
    "really a jpeg.png": encoded(film(35), "JPEG"),
    "really dicom.jpg": dicom(film(36)),
    "deep.dcm": dicom(film(37).astype(np.uint16) * 9, bits=12),
    "rle.dcm": dicom(film(38), syntax=uid.RLELossless, compress=True),
    "j2k.dcm": dicom(film(39), syntax=uid.JPEG2000Lossless, frames=[encoded(film(39), "JPEG2000")]),
    "lossless jpeg.dcm": recoded(dicom(film(320)), uid.JPEGLosslessSV1),
    "jpeg ls.dcm": recoded(dicom(film(321)), uid.JPEGLSLossless),
    "deep.tif": encoded(film(310).astype(np.uint16) * 9, "TIFF"),
    "palette.png": encoded(Image.fromarray(film(11)).convert("P")),
    "alpha.png": encoded(np.dstack([film(12)] * 3 + [np.full((40, 48), 200, np.uint8)])),
}


def reasons():
    odd = {"folder.png": "not a regular file", "pipe.png": "not a regular file"}
    return {n: reason for n, (_, reason) in HOSTILE.items()} | odd | dict.fromkeys(
        ("broken.png", "loop.png"), "missing"
    )  # fmt: skip
