"""Known answers for headers that hold only the place of a value, or contradict themselves."""

import tracemalloc

import numpy as np
import pytest
from dicom_material import dicom
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from lib.data.films.decode import decode

RAMP = np.repeat(np.arange(100, 4100, 100, dtype=np.uint16)[None], 40, axis=0)
WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096}


def grey(**tags):
    return decode(dicom(RAMP, bits=12, **tags)).grey


def table(entries, bits=16):
    item = Dataset()
    item.LUTDescriptor = [len(entries), 0, bits]
    item.LUTData = list(entries)
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return item


def empty_table():
    item = Dataset()
    item.LUTDescriptor, item.LUTExplanation = None, ""
    return item


STRETCHED = np.rint((RAMP[0] - 100.0) / 3900 * 65535)


@pytest.mark.parametrize(
    "tags",
    [
        {"WindowCenter": 0, "WindowWidth": 0},
        {"WindowCenter": 2048, "WindowWidth": -4096},
        {"WindowCenter": 0.5, "WindowWidth": 0.9},
        {"WindowCenter": 2048, "WindowWidth": ""},
        {"WindowCenter": 2048, "WindowWidth": 0, "VOILUTFunction": "SIGMOID"},
        {"RescaleSlope": 0, "RescaleIntercept": 5},
        {"VOILUTSequence": [Dataset()]},
        {"VOILUTSequence": [empty_table()], "ModalityLUTSequence": [empty_table()]},
    ],
)
def test_placeholders_alone_leave_the_film_without_a_window(tags):
    np.testing.assert_array_equal(grey(**tags)[3], STRETCHED)


@pytest.mark.parametrize(
    "tags",
    [
        {"VOILUTFunction": ""},
        {"VOILUTFunction": "LOG"},
        {"RescaleSlope": 0, "RescaleIntercept": 0},
        {"VOILUTSequence": [Dataset()]},
        {"VOILUTSequence": [empty_table()]},
        {"ModalityLUTSequence": [empty_table()]},
        {"WindowCenter": [0, 2048], "WindowWidth": [0, 4096]},
    ],
)
def test_placeholders_beside_a_window_leave_it_alone(tags):
    expected = grey(**WINDOW)
    assert expected.dtype == np.uint8 and expected[0, 0] == 6 and expected[0, -1] == 249
    np.testing.assert_array_equal(grey(**WINDOW | tags), expected)


def test_a_table_is_scaled_by_its_own_maximum():
    """12 bits declared as 16 would be nearly black."""
    for bits in (12, 16):
        shown = grey(VOILUTSequence=[Dataset(), table(range(4096), bits)])
        np.testing.assert_array_equal(shown[0], np.rint(RAMP[0] / 4095 * 255))


@pytest.mark.parametrize(
    ("tags", "remark"),
    [
        (
            {"PresentationLUTShape": "INVERSE"},
            "PresentationLUTShape contradicts MONOCHROME2, which is followed",
        ),
        (
            {"PresentationLUTShape": "IDENTITY", "PhotometricInterpretation": "MONOCHROME1"},
            "PresentationLUTShape contradicts MONOCHROME1, which is followed",
        ),
        ({"RescaleSlope": 2}, "RescaleSlope without RescaleIntercept, not applied"),
        ({"BurnedInAnnotation": "YES"}, "burned-in annotation"),
    ],
)
def test_contradictions_are_told(tags, remark):
    film = decode(dicom(RAMP, bits=12, **WINDOW | tags))
    assert film.remarks == (remark,)
    plain = grey(**WINDOW).astype(int)
    inverse = tags.get("PhotometricInterpretation") == "MONOCHROME1"
    np.testing.assert_array_equal(film.grey, 255 - plain if inverse else plain)
    agreeing = {"PresentationLUTShape": "IDENTITY", "BurnedInAnnotation": "NO"}
    assert decode(dicom(RAMP, bits=12, **WINDOW | agreeing)).remarks == ()


@pytest.mark.parametrize("compressed", [{}, {"syntax": RLELossless, "compress": True}])
def test_left_aligned_bits_are_shifted_and_told(compressed):
    film = decode(dicom(RAMP << 4, bits=12, HighBit=15, **WINDOW, **compressed))
    assert film.remarks == ("HighBit says left-aligned bits, which are shifted",)
    np.testing.assert_array_equal(film.grey, grey(**WINDOW))


@pytest.mark.parametrize("dtype", [np.int16, np.uint32, np.int32])
def test_every_type_of_stored_values(dtype):
    """Far apart in 32 bits, where there is no table of all that lies between."""
    values = RAMP.astype(dtype) * dtype(1 if dtype == np.int16 else 1000)
    if dtype != np.uint32:
        values -= dtype(2000)
    np.testing.assert_array_equal(decode(dicom(values)).grey[7], STRETCHED)


def test_padding_of_signed_values_has_no_say():
    values = RAMP.astype(np.int16) - np.int16(2000)
    expected = np.rint((RAMP[0] - 200.0) / 3800 * 65535).clip(0)
    shown = decode(dicom(values, PixelPaddingValue=-1900)).grey[7]
    np.testing.assert_array_equal(shown, expected)


def test_a_film_is_windowed_in_a_few_bytes_a_pixel():
    """By floats of every pixel it was 33."""
    content = dicom(np.tile(RAMP, (25, 25)), bits=12, **WINDOW)
    decode(content)
    tracemalloc.start()
    pixels = decode(content).grey.size
    peak = tracemalloc.get_traced_memory()[1] / pixels
    tracemalloc.stop()
    assert pixels == 10**6 and peak < 12
