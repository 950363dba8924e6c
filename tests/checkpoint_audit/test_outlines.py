"""Files of annotations: COCO, CheXlocalize and run-lengths against masks that are known."""

import json
from itertools import groupby

import numpy as np
import pytest

from lib.checkpoint_audit import outlines, shapes
from lib.study.errors import DataError

HAND = np.array(
    [
        [0, 0, 0, 0, 0, 1, 1, 1, 1],
        [0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 0, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0, 0, 1],
    ],
    bool,
)
RUNS = [9, 3, 4, 3, 4, 1, 1, 1, 9, 1, 6, 1, 6, 1, 6, 1, 4, 2]
"""Of `HAND`, counted by hand down its columns."""
PACKED = "93400NM080M00000N1"
"""The same as pycocotools 2.0.11 packs it."""


def written(tmp_path, told, name="lesions.json"):
    path = tmp_path / name
    path.write_text(told if isinstance(told, str) else json.dumps(told), encoding="utf-8")
    return path


def coco(*annotations, **image):
    return {
        "images": [{"id": 7, "file_name": "x/a.png", "height": 7, "width": 9} | image],
        "categories": [{"id": 2, "name": "Mass"}],
        "annotations": [{"image_id": 7, "category_id": 2} | each for each in annotations],
    }


def only(tmp_path, told, name="lesions.json"):
    """The one lesion that a file tells, drawn on its own frame."""
    (one,) = [each for each in outlines.read(written(tmp_path, told, name)) if each.draw]
    return one, one.draw(*(one.frame or HAND.shape))


@pytest.mark.parametrize("counts", [RUNS, PACKED])
def test_run_lengths_of_coco_and_chexlocalize_are_those_of_a_mask_made_by_hand(tmp_path, counts):
    shape = {"size": [7, 9], "counts": counts}
    one, mask = only(tmp_path, coco({"segmentation": shape, "iscrowd": 1}))
    assert (one.film, one.finding, one.frame) == ("x/a.png", "Mass", (7, 9))
    np.testing.assert_array_equal(mask, HAND)
    one, mask = only(tmp_path, {"p1_s1_view1": {"Mass": shape, "Edema": {**shape, "counts": "o1"}}})
    assert (one.film, one.finding) == ("p1_s1_view1", "Mass")
    np.testing.assert_array_equal(mask, HAND)


def test_empty_masks_as_chexlocalize_publishes_them_are_no_lesion(tmp_path):
    published = {"a": {"Edema": {"size": [2320, 2828], "counts": "PVWX6"}},
                 "b": {"Edema": {"size": [2022, 2021], "counts": "nefl3"}}}  # fmt: skip
    assert shapes.unpacked("PVWX6") == [2320 * 2828] and shapes.unpacked("nefl3") == [2022 * 2021]
    read = outlines.read(written(tmp_path, published))
    assert {one.film for one in read} == {"a", "b"} and not any(one.draw for one in read)


def packed(runs):
    """The packing of the COCO API, written from its description and the other way round."""
    text = ""
    for place, run in enumerate(runs):
        number = run - runs[place - 2] if place > 2 else run
        while True:
            bits, number = number & 31, number >> 5
            last = number == (-1 if bits & 16 else 0)
            text += chr(48 + bits + (0 if last else 32))
            if last:
                break
    return text


def test_packed_run_lengths_go_there_and_back():
    assert packed(RUNS) == PACKED
    generator = np.random.default_rng(3)
    for share in (0.001, 0.05, 0.5, 1.0):
        mask = generator.random((150, 120)) < share
        runs = [len(list(of)) for _, of in groupby(mask.T.ravel())]
        runs = [0, *runs] if mask[0, 0] else runs
        assert shapes.unpacked(packed(runs)) == runs
        np.testing.assert_array_equal(shapes.of_runs(runs, 150, 120, whole=True), mask)


def test_run_lengths_of_a_table_start_where_the_last_one_ended(tmp_path):
    table = "ImageId, EncodedPixels\na,{}\nb, -1\nc,\n"
    siim = " ".join(map(str, RUNS))
    one, mask = only(tmp_path, table.format(siim), "rle.csv")
    assert one.film == "a" and one.frame is None and one.entry == "row 1"
    np.testing.assert_array_equal(mask, HAND)
    assert [x.film for x in outlines.read(tmp_path / "rle.csv")] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "points", [[[1, 2], [4, 2], [4, 5], [1, 5]], [[1, 5], [4, 5], [4, 2], [1, 2]]]
)
def test_a_polygon_is_the_pixels_whose_centres_it_holds(tmp_path, points):
    expected = np.zeros((7, 9), bool)
    expected[2:5, 1:4] = True
    _, mask = only(tmp_path, {"a": {"img_size": [7, 9], "Mass": [points]}})
    np.testing.assert_array_equal(mask, expected)
    flat = [x for point in points for x in point]
    _, mask = only(tmp_path, coco({"segmentation": [flat]}))
    np.testing.assert_array_equal(mask, expected)
    _, mask = only(tmp_path, coco({"segmentation": [], "bbox": [1, 2, 3, 3]}))
    np.testing.assert_array_equal(mask, expected)


def test_polygons_that_lean_cross_themselves_or_are_several():
    leaning = np.array([[0, -0.5], [8, 7.5], [8, 8], [0, 8]])
    np.testing.assert_array_equal(shapes.of_polygons([leaning], 8, 8), np.tri(8, dtype=bool))
    disc = np.array([[50 + 40 * np.cos(a), 50 + 40 * np.sin(a)] for a in np.linspace(0, 6.28, 300)])
    y, x = np.mgrid[:100, :100] + 0.5
    inside = np.hypot(x - 50, y - 50)
    mask = shapes.of_polygons([disc], 100, 100)
    assert mask[inside < 39.5].all() and not mask[inside > 40.5].any()
    # Twice round a square is out of it again; two squares are both.
    square = np.array([[1, 1], [3, 1], [3, 3], [1, 3]], float)
    assert not shapes.of_polygons([np.concatenate([square, square])], 6, 6).any()
    assert shapes.of_polygons([square, square + 2], 6, 6).sum() == 8
    assert shapes.of_polygons([square, square], 6, 6).sum() == 4
    assert not shapes.of_polygons([np.array([[1, 1], [5, 5.0]])], 6, 6).any()
    beyond = np.array([[-0.5, -0.5], [6.9, -0.5], [6.9, 2], [-0.5, 2]])
    assert shapes.of_polygons([beyond], 6, 6).sum() == 12


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("{", "lesions.json: no JSON"),
        ("[" * 200_000, "lesions.json: no JSON"),
        ([1, 2], r"found \[1, 2\], expected COCO .* book/audit.md"),
        ({"a": 1}, "found the keys 'a', expected COCO"),
        ({"annotations": [], "images": []}, "COCO: categories: found null, expected a list"),
        (coco({"image_id": 8}), r"annotations\[0\]: image_id: found 8, expected one of images"),
        (coco({"category_id": 1}), "category_id: found 1, expected one of categories"),
        (coco({}), r"annotations\[0\]: bbox: found null, expected a list. Correct or remove it"),
        (coco({"bbox": [1, 2, 3]}), r"found \[1, 2, 3\], expected 4 numbers"),
        (coco({"bbox": [1, 2, 3, 1e999]}), "expected 4 numbers"),
        (coco({"segmentation": [[1, 2, 3]]}), "expected polygons"),
        (coco({"segmentation": [[1, 2, "x", 3]]}), "expected finite numbers"),
        (coco({"segmentation": [[1, 2], [[3]]]}), "expected polygons"),
        (coco({"segmentation": "all"}), 'found "all", expected polygons'),
        (coco({"segmentation": {"size": [7, 9], "counts": [63, -1]}}), r"counts: found \[63, -1\]"),
        (coco({"segmentation": {"size": [7, 9], "counts": "é"}}), "packed by COCO"),
        (coco({"segmentation": {"size": [7, 9], "counts": "PPPPPPPPP1"}}), "packed by COCO"),
        (coco({"segmentation": {"size": [10**9, 10**9], "counts": [1]}}), "at most 100000000"),
        (coco({"bbox": [0, 0, 1, 1]}, height=0), "as height and width, expected whole numbers"),
        ({"a": {"img_size": 7, "Mass": []}}, "'a': found 7, expected 2 numbers"),
        ({"a": {"img_size": [7, 9], "Mass": 3}}, "'a', 'Mass': found 3, expected polygons"),
        ("ImageId,EncodedPixels\na,1 2 x\n", 'row 1: found "1 2 x", expected run-lengths such'),
        ("ImageId,EncodedPixels\na,1 -2\n", "expected run-lengths"),
        ("EncodedPixels\n1 2\n", "found columns 'EncodedPixels', expected those of the film"),
    ],
)
def test_files_that_cannot_be_meant_say_where_what_and_what_else(tmp_path, told, why):
    name = "rle.csv" if "EncodedPixels" in told else "lesions.json"
    with pytest.raises(DataError, match=why):
        outlines.read(written(tmp_path, told, name))


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        ({"size": [7, 9], "counts": [60, 2]}, "run-lengths of 62 pixels, expected the 63 of 9x7"),
        ({"size": [7, 9], "counts": [60, 10**12]}, "expected the 63 of 9x7"),
        ([[0, 0, 90, 0, 0, 5]], r"a polygon from \(0, 0\) to \(90, 5\), expected .* its 9x7 pix"),
    ],
)
def test_what_does_not_fit_its_frame_is_refused_when_drawn(tmp_path, shape, why):
    with pytest.raises(ValueError, match=why):
        only(tmp_path, coco({"segmentation": shape}))


def test_a_file_that_no_annotations_fill_is_not_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(outlines, "_LARGEST", 10)
    with pytest.raises(DataError, match="found 63 bytes, expected at most 10 of annotations"):
        outlines.read(written(tmp_path, " " * 63))
