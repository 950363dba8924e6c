"""Known answers for radiographs in DICOM files."""

import zlib

import numpy as np
import pytest
from dicom_material import dicom, recoded
from material import encoded, film, read_image
from pydicom import uid
from pydicom.dataset import Dataset

from lib.data.films import dicom as reader
from lib.data.films import dicom_process
from lib.data.films.decode import decode
from lib.data.films.film import ImageRefused, eight_bit

RAMP = np.repeat(np.arange(4096, dtype=np.uint16)[None, ::16], 40, axis=0)  # 12 bits, 256 steps
GREY = np.repeat(np.arange(256)[None], 40, axis=0)


def shown(content):
    return eight_bit(decode(content).grey).astype(int)


def lut(data, first=0, bits=8):
    table = Dataset()
    table.LUTDescriptor = [len(data), first, bits]
    table.LUTData = list(data)
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    return [table]


def test_no_window_stretches_deep_films_and_keeps_shallow_ones():
    np.testing.assert_array_equal(shown(dicom(RAMP, bits=12)), GREY)
    np.testing.assert_array_equal(shown(dicom(RAMP.astype(np.int16) - 2048, bits=12)), GREY)
    np.testing.assert_array_equal(shown(dicom(film())), film())
    np.testing.assert_array_equal(
        shown(dicom(film(), PhotometricInterpretation="MONOCHROME1")), 255 - film()
    )
    inverse = dicom(RAMP, bits=12, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(shown(inverse), 255 - GREY)


def test_window_says_what_is_black_and_white():
    """Equation C.11.2.1.2.1 of the standard: linear between c - 0.5 -+ (w - 1) / 2."""
    content = dicom(RAMP, bits=12, WindowCenter=[2048, 1], WindowWidth=[1025, 2])
    low, high = 2047.5 - 512, 2047.5 + 512
    expected = np.clip((RAMP[0] - low) / (high - low), 0, 1) * 255
    assert np.abs(shown(content)[5] - expected).max() <= 0.51
    inverse = dicom(
        RAMP, bits=12, WindowCenter=2048, WindowWidth=1025, PhotometricInterpretation="MONOCHROME1"
    )
    assert np.abs(shown(inverse)[5] - (255 - expected)).max() <= 0.51
    # A window that shows grey levels in the middle only: black and white are those of the window.
    narrow = shown(dicom(RAMP[:, 100:150], bits=12, WindowCenter=2048, WindowWidth=4096))
    assert abs(narrow.min() - 100) <= 1 and abs(narrow.max() - 149) <= 1


def test_sigmoid_window():
    """Equation C.11.2.1.3.1: 1 / (1 + exp(-4 (x - c) / w))."""
    tags = {"WindowCenter": 2048, "WindowWidth": 1000, "VOILUTFunction": "SIGMOID"}
    expected = 255 / (1 + np.exp(-4 * (RAMP[0] - 2048.0) / 1000))
    assert np.abs(shown(dicom(RAMP, bits=12, **tags))[3] - expected).max() <= 0.51


def test_rescale_comes_before_the_window():
    tags = {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 3096, "WindowWidth": 8192}
    expected = np.clip((RAMP[0] * 2.0 - 1000 - (3095.5 - 4095.5)) / 8191, 0, 1) * 255
    assert np.abs(shown(dicom(RAMP, bits=12, **tags))[0] - expected).max() <= 0.51
    falling = dicom(RAMP, bits=12, RescaleSlope=-1, RescaleIntercept=4095)
    np.testing.assert_array_equal(shown(falling), 255 - GREY)


def test_voi_lut_is_preferred_to_the_window():
    table = np.minimum(np.arange(4096) // 8, 255)
    content = dicom(
        RAMP, bits=12, VOILUTSequence=lut(table), WindowCenter=5, WindowWidth=4, RescaleSlope=1,
        RescaleIntercept=0,
    )  # fmt: skip
    np.testing.assert_array_equal(shown(content)[0], np.minimum(RAMP[0] // 8, 255))


def test_modality_lut():
    table = np.arange(4096)[::-1]
    np.testing.assert_array_equal(
        shown(dicom(RAMP, bits=12, ModalityLUTSequence=lut(table, bits=16))), 255 - GREY
    )


def test_padding_is_black_and_has_no_say_in_the_stretch():
    padded = RAMP.copy() + np.uint16(1000)
    padded[:10] = 0
    padded[10:12] = 7
    for shown_ramp, colours in ((GREY, "MONOCHROME2"), (255 - GREY, "MONOCHROME1")):
        content = dicom(
            padded, bits=13, PixelPaddingValue=0, PixelPaddingRangeLimit=7,
            PhotometricInterpretation=colours,
        )  # fmt: skip
        np.testing.assert_array_equal(shown(content)[12:], shown_ramp[12:])
        assert not shown(content)[:12].any()


def test_colour_becomes_luma():
    colour = np.zeros((40, 40, 3), np.uint8)
    colour[:, :10], colour[:, 10:20], colour[:, 20:30] = [255, 0, 0], [0, 255, 0], [0, 0, 255]
    assert shown(dicom(colour))[0, ::10].tolist() == [76, 150, 29, 0]
    assert decode(dicom(colour)).colour and not decode(dicom(film())).colour


@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEG2000Lossless, uid.JPEGBaseline8Bit])
def test_compressed_films(syntax):
    image = film(3, height=64, width=80)
    if syntax == uid.RLELossless:
        deep = RAMP + np.arange(40, dtype=np.uint16)[:, None]
        expected = eight_bit(deep)
        np.testing.assert_array_equal(
            shown(dicom(deep, bits=13, syntax=syntax, compress=True)), expected
        )
        content = dicom(image, syntax=syntax, compress=True)
    else:
        kind, options = (
            ("JPEG", {"quality": 95}) if syntax == uid.JPEGBaseline8Bit else ("JPEG2000", {})
        )
        options |= {"no_jp2": True} if kind == "JPEG2000" else {}
        content = dicom(image, syntax=syntax, frames=[encoded(image, kind, **options)])
    error = 6 if syntax == uid.JPEGBaseline8Bit else 0
    assert np.abs(shown(content) - image.astype(int)).max() <= error


def test_deep_jpeg_2000():
    deep = (film(4).astype(np.uint16) * 16) + 5
    content = dicom(
        deep, bits=16, syntax=uid.JPEG2000Lossless, frames=[encoded(deep, "JPEG2000", no_jp2=True)]
    )
    np.testing.assert_array_equal(shown(content), eight_bit(deep))


def test_jpeg_2000_in_boxes():
    """Not as the standard says, but written; a box without length must not be walked for ever."""
    image = film(4)
    boxed = encoded(image, "JPEG2000")
    assert boxed[16:20] == b"ftyp"
    np.testing.assert_array_equal(
        shown(dicom(image, syntax=uid.JPEG2000Lossless, frames=[boxed])), image
    )
    broken = boxed[:12] + bytes(4) + boxed[16:]
    with pytest.raises(ImageRefused, match="a box of JPEG 2000 without its length"):
        decode(dicom(image, syntax=uid.JPEG2000Lossless, frames=[broken]))


def test_deflated_films_have_a_limit(monkeypatch):
    content = dicom(film(), syntax=uid.DeflatedExplicitVRLittleEndian)
    np.testing.assert_array_equal(shown(content), film())
    monkeypatch.setattr(reader, "MAX_BYTES", 2000)
    start = 144 + int.from_bytes(content[140:144], "little")
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = content[:start] + deflate.compress(bytes(10**7)) + deflate.flush()
    with pytest.raises(ImageRefused, match="unpacks to more than"):
        decode(bomb)


@pytest.mark.parametrize("syntax", [uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_lossless_jpeg_is_exact(syntax, bits):
    """As hospitals archive films: process 14, process 14 of first order, and JPEG-LS."""
    pixels = film(3)
    if bits > 8:
        pixels = pixels.astype(np.uint16) * 2 ** (bits - 8) + 3
    content = recoded(dicom(pixels, bits=bits), syntax)
    assert syntax.encode() in content[:600]
    np.testing.assert_array_equal(shown(content), eight_bit(pixels))


def test_a_value_that_runs_on_into_names_is_not_repeated():
    content = dicom(film()).replace(b"MONOCHROME2 ", b"Doe^Jane\0\0PN")
    with pytest.raises(ImageRefused, match="found no photometric interpretation") as caught:
        decode(content)
    assert "Doe" not in str(caught.value)
    assert decode(dicom(film(), PatientID="7" * 128)).patient_id == "7" * 128


def test_a_film_that_ends_the_decoder_is_refused_and_the_next_is_read():
    """GDCM does not survive samples of 255 bits, nor a table of codes that is missing."""
    content = recoded(dicom(film(3)), uid.JPEGLosslessSV1)
    start = content.index(b"\xff\xc3\x00\x0b\x08")
    broken = content[: start + 4] + b"\xff" + content[start + 5 :]
    for _ in range(2):
        with pytest.raises(ImageRefused, match="the decoder breaks down at it"):
            decode(broken)
        np.testing.assert_array_equal(shown(content), film(3))


def test_a_decoder_that_takes_too_long_is_stopped(monkeypatch):
    content = recoded(dicom(film(3)), uid.JPEGLSLossless)
    dicom_process._stop()  # one that starts needs longer than that
    with monkeypatch.context() as patch, pytest.raises(ImageRefused, match="exit code -9"):
        patch.setattr(dicom_process, "SECONDS", 0.01)
        decode(content)
    np.testing.assert_array_equal(shown(content), film(3))


def test_a_decoder_that_was_stopped_from_outside_is_started_again():
    content = recoded(dicom(film(3)), uid.JPEGLSLossless)
    decode(content)
    for process, _ in dicom_process._idle:
        process.kill()
        process.wait()
    np.testing.assert_array_equal(shown(content), film(3))


def test_a_rescale_that_says_nothing_changes_nothing():
    content = dicom(film(3) // 2, RescaleSlope=1, RescaleIntercept=0)
    np.testing.assert_array_equal(shown(content), film(3) // 2)


@pytest.mark.parametrize("syntax", [uid.HTJ2KLossless, uid.JPEGExtended12Bit])
def test_missing_decoder_is_named(syntax):
    content = dicom(RAMP, bits=12, syntax=syntax, frames=[b"\xff\xd8 some code stream \xff\xd9"])
    with pytest.raises(ImageRefused) as caught:
        decode(content)
    text = str(caught.value)
    assert text.startswith(f"no decoder for {syntax.name} (install one: ") and "pylibjpeg" in text


def test_view_and_patient_are_read_and_nothing_else():
    read = decode(dicom(film(), ViewPosition=" ap "))
    assert (read.view, read.patient_id, read.format) == ("AP", "patient 7", "DICOM")
    bare = decode(dicom(film(), ViewPosition=None, PatientID=None))
    assert (bare.view, bare.patient_id) == ("", "")
    personal = {"PatientName", "PatientBirthDate", "InstitutionName"}
    assert not personal & set(reader.TAGS)
    assert set(vars(read)) == {"grey", "format", "colour", "view", "patient_id", "remarks"}


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"Modality": "CT"}, "not a radiograph (found Modality CT; expected CR, DX, RG)"),
        ({"Modality": "MG"}, "not a radiograph (found Modality MG; expected CR, DX, RG)"),
        (
            {"Modality": None, "SOPClassUID": uid.MRImageStorage},
            "not a radiograph (found no Modality, MR Image Storage; expected CR, DX, RG)",
        ),
        (
            {"Modality": "OT"},
            "not a radiograph (found Modality OT; expected CR, DX, RG, or OT with "
            "BodyPartExamined CHEST or a ViewPosition; if it is a chest film, say so there)",
        ),
        ({"NumberOfFrames": 2}, "several frames (found 2; expected one film)"),
        (
            {"PresentationIntentType": "FOR PROCESSING"},
            "raw detector data (FOR PROCESSING; export the film FOR PRESENTATION)",
        ),
        (
            {"PhotometricInterpretation": "PALETTE COLOR"},
            "cannot be decoded (found PALETTE COLOR; expected MONOCHROME1, 2, RGB, YBR)",
        ),
        ({"PixelData": None}, "cannot be decoded (no pixels; expected whole numbers)"),
        ({"Rows": 30000, "Columns": 30000}, "larger than 100 megapixels (found 30000x30000)"),
        ({"Rows": 1, "Columns": 1}, "smaller than 32 pixels on a side (found 1x1)"),
    ],
)
def test_refused_files_state_the_reason(tmp_path, tags, reason):
    (tmp_path / "film.dcm").write_bytes(dicom(film(), **{"ViewPosition": None} | tags))
    with pytest.raises(ImageRefused) as caught:
        read_image(tmp_path / "film.dcm")
    assert str(caught.value) == reason


def test_a_radiograph_without_modality_is_told_by_its_class():
    np.testing.assert_array_equal(shown(dicom(film(), Modality=None)), film())


def test_the_class_of_the_file_meta_is_enough():
    """As VinDr-CXR is published."""
    content = dicom(film(), Modality=None, SOPClassUID=None)
    assert b"\x08\0\x16\0" not in content  # the tag of the class
    np.testing.assert_array_equal(shown(content), film())


@pytest.mark.parametrize("modality", ["OT", "SC"])
def test_chest_films_under_a_vague_modality(modality):
    for tags in ({"BodyPartExamined": "chest"}, {"ViewPosition": "AP"}):
        content = dicom(film(), **{"Modality": modality, "ViewPosition": None} | tags)
        assert decode(content).remarks == (f"filed as {modality}",)


def test_dicom_is_told_by_its_mark_whatever_the_preamble_says():
    plain = dicom(RAMP, bits=12, WindowCenter=2048, WindowWidth=1025)
    for preamble in (b"II*\0", b"MM\0*", b"\x89PNG\r\n\x1a\n"):
        dual = preamble + plain[len(preamble) :]
        np.testing.assert_array_equal(shown(dual), shown(plain))


def test_without_a_transfer_syntax_only_plain_pixels_are_read():
    content = dicom(film(), Modality="CR")
    mark = content.index(b"\x02\0\x10\0UI")
    length = 8 + int.from_bytes(content[mark + 6 : mark + 8], "little")
    group = int.from_bytes(content[140:144], "little") - length
    bare = content[:140] + group.to_bytes(4, "little") + content[144:mark]
    np.testing.assert_array_equal(shown(bare + content[mark + length :]), film())


def test_jpeg_2000_that_pillow_refuses_is_given_to_gdcm(monkeypatch):
    real = reader.pixel_array

    def refusing(header, decoding_plugin):
        if decoding_plugin == "pillow":
            raise RuntimeError("broken data stream")
        return real(header, decoding_plugin=decoding_plugin)

    monkeypatch.setattr(reader, "pixel_array", refusing)
    stream = encoded(film(4), "JPEG2000", no_jp2=True)
    content = dicom(film(4), syntax=uid.JPEG2000Lossless, frames=[stream])
    np.testing.assert_array_equal(shown(content), film(4))
    with pytest.raises(ImageRefused, match="Unable to decode"):
        decode(dicom(film(4), syntax=uid.JPEG2000Lossless, frames=[stream[:-2]]))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_cut_is_refused():
    for content in (dicom(film()), dicom(film(), syntax=uid.RLELossless, compress=True)):
        for length in range(0, len(content) - 1, 29):
            with pytest.raises(ImageRefused):
                decode(content[:length])
