"""Known answers for reading one film."""

import io
import re
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from hostile_material import OTHER, jpeg_of_claimed_size, png_of_chunks
from material import encoded, film, read_image
from PIL import Image

from lib.data.films.decode import decode
from lib.data.films.film import ImageRefused, eight_bit

PNG, JPEG = encoded(film()), encoded(film(), "JPEG")
TIFFS = [encoded(film(), "TIFF", compression=c) for c in ("raw", "tiff_lzw", "tiff_deflate")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [  # besides those of hostile_material.HOSTILE
        (None, "missing"),
        (b"GIF89a" + bytes(50), OTHER + "GIF)"),
        (
            b"\x08\0\x05\0" + bytes(50),
            OTHER + "DICOM without its preamble; rewrite it as a DICOM file)",
        ),
        (PNG[: len(PNG) // 2], "truncated"),
        (PNG[:-12], "truncated"),
        (PNG[:20], "truncated"),
        (JPEG[: len(JPEG) // 2], "truncated"),
        (JPEG[:-2], "truncated"),
        (JPEG[:3], "truncated"),
        (encoded(film(width=31)), "smaller than 32 pixels on a side (found 31x40)"),
        (encoded(np.full((40, 40), 0.5, np.float32), "TIFF"), "constant image"),
        (
            encoded(film(), "TIFF", save_all=True, append_images=[Image.fromarray(film(1))] * 2),
            "several pages (found 3; expected one film)",
        ),
        (jpeg_of_claimed_size(60_000, 2_000), "larger than 100 megapixels (found 60000x2000)"),
        (encoded(np.full((40, 40), 900, np.uint16)), "constant image"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused_films_state_the_reason(tmp_path, content, reason):
    path = tmp_path / "film.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageRefused) as caught:
        read_image(path)
    assert str(caught.value) == reason


def shown(content):
    return eight_bit(decode(content).grey)


def test_damaged_and_irregular_files(tmp_path):
    start = PNG.index(b"IDAT") + 8
    with pytest.raises(ImageRefused, match=r"^cannot be decoded \("):
        decode(PNG[:start] + b"\x55" * 40 + PNG[start + 40 :])
    with pytest.raises(ImageRefused, match=r"^not a regular file$"):
        read_image(tmp_path)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_every_cut_of_a_film_is_refused():
    for content in (PNG, JPEG, *TIFFS):
        for length in range(0, len(content), 13):
            with pytest.raises(ImageRefused):
                shown(content[:length])


def test_a_film_is_constant_only_if_all_of_its_rows_are():
    black_edge = film()
    black_edge[0] = 0
    np.testing.assert_array_equal(shown(encoded(black_edge)), black_edge)


def test_grey_levels_are_kept_and_format_is_told_by_content(tmp_path):
    (tmp_path / "film.jpg").write_bytes(PNG)
    np.testing.assert_array_equal(read_image(tmp_path / "film.jpg"), film())


def _interlaced(grey):
    """A PNG that arrives in seven passes (Adam7), by hand: Pillow and OpenCV only read it."""
    rows = b""
    for left, top, across, down in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):  # fmt: skip
        rows += b"".join(b"\0" + row.tobytes() for row in grey[top::down, left::across])
    header = struct.pack(">IIBBBBB", *grey.shape[::-1], 8, 0, 0, 0, 1)
    return png_of_chunks((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))


def test_plain_grey_is_what_was_saved():
    """Of JPEG, what OpenCV reads: the same pixels by another decoder."""
    deep = film().astype(np.uint16) * 16 + 5
    for content, grey in {PNG: film(), encoded(deep): deep, _interlaced(film()): film()}.items():
        np.testing.assert_array_equal(decode(content).grey, grey)
    for options in ({}, {"quality": 100}, {"restart_marker_blocks": 2}, {"progressive": True}):
        content = encoded(film(), "JPEG", **options)
        grey = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(decode(content).grey, grey)


def test_colour_becomes_luma():
    colour = np.zeros((40, 40, 3), np.uint8)
    colour[:, :10], colour[:, 10:20], colour[:, 20:30] = [255, 0, 0], [0, 255, 0], [0, 0, 255]
    assert shown(encoded(colour))[0, ::10].tolist() == [76, 150, 29, 0]


def test_palette_alpha_and_bilevel():
    half = np.zeros((40, 40), np.uint8)
    half[:, 20:] = 255
    for picture in (Image.fromarray(half).convert("P"), Image.fromarray(half).convert("1")):
        np.testing.assert_array_equal(shown(encoded(picture)), half)
    white = np.full((40, 40), 255, np.uint8)
    transparent = np.dstack([white, white, white, half])
    deep = cv2.imencode(".png", transparent.astype(np.uint16) * 257)[1].tobytes()
    for content in (encoded(transparent), deep):
        np.testing.assert_array_equal(shown(content), half)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_stretched_over_the_range_of_the_film(channels):
    grey = np.repeat(np.linspace(100, 3925, 256).astype(np.uint16)[None], 40, axis=0)
    deep = grey if channels == 1 else np.dstack([grey] * 3 + [np.full_like(grey, 65535)])
    content = cv2.imencode(".png", deep if channels == 1 else deep[..., :channels])[1]
    np.testing.assert_array_equal(shown(content.tobytes())[7], np.arange(256))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
def test_exif_rotation_is_applied(kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = shown(encoded(film(), kind, exif=exif))
    assert np.abs(upright.astype(int) - np.rot90(film(), -1)).max() <= (8 if kind == "JPEG" else 0)


def test_exif_rotation_of_deep_colour():
    exif = Image.Exif()
    exif[0x0112] = 6
    orientation = exif.tobytes()[6:]  # without the mark that only JPEG has
    chunk = b"eXIf" + orientation
    deep = cv2.imencode(".png", np.dstack([film().astype(np.uint16) * 257] * 3))[1].tobytes()
    inserted = struct.pack(">I", len(orientation)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    upright = shown(deep[:33] + inserted + deep[33:]).astype(float)
    low, high = film().min(), film().max()
    np.testing.assert_allclose(upright, (np.rot90(film(), -1) - low) * 255.0 / (high - low), atol=1)


def tiff(values, **options):
    tifffile.imwrite(buffer := io.BytesIO(), values, **{"photometric": "minisblack"} | options)
    return buffer.getvalue()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kind", ["int8", "int16", "uint16", "int32", "uint32", "float32"])
def test_tiff_samples_of_every_kind_are_right_or_refused(kind, compression, order):
    ramp = np.repeat(np.arange(256)[None], 40, axis=0)
    values = (ramp - 128 if kind == "int8" else (ramp - 100) * 120).astype(kind)
    if kind.startswith("u"):
        values = (ramp * (2 ** (np.iinfo(kind).bits - 8) - 1) + 1).astype(kind)
    content = tiff(values, byteorder=order, compression=compression)
    try:
        np.testing.assert_array_equal(shown(content), ramp)
    except ImageRefused as refusal:
        assert order == ">" and re.search("unknown pixel mode|big-endian, compressed", str(refusal))


def test_deep_colour_of_separate_planes_is_refused():
    deep = np.stack([film().astype(np.uint16) * 250] * 3)
    planes = {"photometric": "rgb", "planarconfig": "separate"}
    with pytest.raises(ImageRefused, match="16-bit colour in separate planes; save it as grey"):
        decode(tiff(deep, **planes))
    grey = shown(tiff(np.stack([film()] * 3), **planes))
    np.testing.assert_array_equal(grey, film())
    np.testing.assert_array_equal(
        shown(tiff(np.moveaxis(deep, 0, 2), photometric="rgb")), eight_bit(deep[0])
    )


def test_tiff_of_eight_and_sixteen_bits_floats_and_white_as_zero():
    ramp = np.repeat(np.arange(256)[None], 40, axis=0)
    for content in TIFFS:
        np.testing.assert_array_equal(shown(content), film())
    for values in (ramp * 15 + 100, ramp * 200, ramp / 3 - 50):
        values = values.astype(np.float32 if values.dtype.kind == "f" else np.uint16)
        for photometric, expected in ((1, ramp), (0, ramp[:, ::-1])):
            found = shown(encoded(values, "TIFF", tiffinfo={262: photometric})).astype(int)
            assert np.abs(found - expected).max() <= (values.dtype.kind == "f"), photometric
    tifffile.imwrite(inverse := io.BytesIO(), ramp.astype(np.uint8), photometric="miniswhite")
    np.testing.assert_array_equal(shown(inverse.getvalue()), 255 - ramp)
    deep = cv2.imencode(".tiff", np.dstack([ramp.astype(np.uint16) * 15] * 3))[1]
    np.testing.assert_array_equal(shown(deep.tobytes()), ramp)
