"""Lesions as collections tell them, in the frame of the film, and how much of a map lies there."""

import cv2
import numpy as np
import pandas as pd
import pytest

from lib.attribution.maps import MapSet
from lib.checkpoint_audit import lesions
from lib.study.errors import DataError

FILMS = pd.DataFrame(
    {
        "image_id": ["a.png", "b.png", "c.png"], "file": ["x/a.png", "x/b.png", "y/c.png"],
        "width": [40, 40, 80], "height": [40, 40, 40],
    }
)  # fmt: skip
NIH = "Image Index,Finding Label,Bbox [x,y,w,h],,,\na.png,Mass,10,20,20,10,,,\n"
VINDR = "image_id,class_name,x_min,y_min,x_max,y_max\na,Mass,10,20,30,30\nb,No finding,,,,\n"
XYWH = "image_id,x,y,width,height\n"
RSNA = "patientId,x,y,width,height,Target\na,10,20,20,10,1\nb,,,,,0\n"


def drawn(path, rows=slice(None), columns=slice(None), shape=(40, 80)):
    """A mask in a file of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros(shape, np.uint8)
    mask[rows, columns] = 255
    cv2.imwrite(str(path), mask)


def masks(*sources, finding="", **labels):
    (found,) = lesions.masks(
        [str(source) for source in sources], FILMS, findings=[finding], labels=labels, size=40,
        aspect="squash",
    )  # fmt: skip
    return found


@pytest.mark.parametrize("table", [NIH, VINDR, RSNA])
def test_boxes_of_the_tables_of_the_field_lie_where_they_were_drawn(tmp_path, table):
    (tmp_path / "boxes.csv").write_text(table)
    found = masks(tmp_path / "boxes.csv")
    expected = np.zeros((40, 40), bool)
    expected[20:30, 10:30] = True
    np.testing.assert_array_equal(found[0], expected)
    assert not found[1:].any()


def test_boxes_and_masks_follow_the_squares_of_their_films(tmp_path):
    (tmp_path / "boxes.csv").write_text("image_id,x,y,width,height\nc,0,0,40,20\n")
    np.testing.assert_array_equal(np.argwhere(masks(tmp_path / "boxes.csv")[2]).max(0), [19, 19])
    drawn(tmp_path / "masks/c.png", slice(20, None), slice(40, None))
    both = masks(tmp_path / "boxes.csv", tmp_path / "masks")[2]
    assert both[:20, :20].all() and both[20:, 20:].all() and both.sum() == 800


def test_a_question_about_a_finding_has_the_lesions_of_that_finding(tmp_path):
    (tmp_path / "boxes.csv").write_text(
        "image_id,label,x,y,width,height\na,Infiltrate,0,0,10,10\na,Mass,20,20,10,10\n"
    )
    found = masks(tmp_path / "boxes.csv", finding="Mass")
    assert found[0, 20:30, 20:30].all() and found[0].sum() == 100
    found = masks(tmp_path / "boxes.csv", finding="Infiltration", Infiltrate="Infiltration")
    assert found[0, :10, :10].all() and found[0].sum() == 100
    for name, value in (("mass", 10), ("Effusion", 20)):
        drawn(tmp_path / "masks" / name / "b.png", slice(value), shape=(40, 40))
    assert masks(tmp_path / "masks", finding="Fluid", effusion="Fluid")[1].sum() == 800
    assert masks(tmp_path / "masks", finding="Mass")[1].sum() == 400
    assert masks(tmp_path / "masks", finding="Effusion")[1].sum() == 800


def test_a_lesion_of_another_class_than_its_film_is_none_of_it(tmp_path):
    (tmp_path / "boxes.csv").write_text(
        "image_id,label,x,y,width,height\n"
        "a,Pneumonia,0,0,10,10\na,mass,20,20,10,10\nb,mass,0,0,20,20\nb,Opacity,30,30,10,10\n"
    )
    for folder in ("Mass", "lungs", "normal"):
        drawn(tmp_path / "masks" / folder / "c.png")
    films = FILMS.assign(label=["pneumonia", "normal", "mass"])
    told = {"findings": [""], "classes": ["mass", "normal", "pneumonia"], "labels": {}}
    told |= {"size": 40, "aspect": "squash"}
    (found,) = lesions.masks([str(tmp_path / "boxes.csv")], films, **told)
    assert found[0, :10, :10].all() and found[0].sum() == 100
    assert found[1, 30:, 30:].all() and found[1].sum() == 100  # what names no class counts
    assert not found[2].any()
    assert next(lesions.masks([str(tmp_path / "masks")], films, **told))[2].all()
    (tmp_path / "masks/Mass/c.png").unlink()
    assert not next(lesions.masks([str(tmp_path / "masks")], films, **told)).any()


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (f"{XYWH}a,0,0,1024,900\n", "film 'a', row 1: found a box .* expected .* its 40x40 pixels"),
        (f"{XYWH}a,5,5,-3,9\n", "rows 1: found no box"),
        (f"{XYWH}a,5,5,,9\n", "rows 1: found no box"),
        ("image_id,left,top\na,5,5\n", "expected those of the film"),
        (f"{XYWH}other,0,0,9,9\n", "knows none of the 3 films, such"),
    ],
)
def test_boxes_that_cannot_be_meant_are_refused(tmp_path, table, why):
    (tmp_path / "boxes.csv").write_text(table)
    with pytest.raises(DataError, match=why):
        masks(tmp_path / "boxes.csv")


def test_a_source_may_call_a_film_by_any_end_of_its_path():
    films = pd.DataFrame(
        {"image_id": ["1", "2", "3"], "file": ["p1/s1/view.jpg", "p2/s1/view.jpg", "p2/s2/lat.jpg"]}
    )
    row_of = lesions._row_of(films)
    called = {"p1_s1_view": 0, "p2/s1/view.jpg": 1, "s2/lat": 2, "lat.jpg": 2, "3": 2,
              "valid/p1/s1/view.jpg": 0, "valid\\p1\\s1\\view.jpg": 0}  # fmt: skip
    assert {name: row_of(name) for name in called} == called
    for ambiguous in ("view", "s1_view", "s1/view.jpg", "p3/s2/lat.jpg", "p3_s1_view"):
        assert row_of(ambiguous) is None, ambiguous


def test_what_is_wrong_with_lesions_is_said_before_anything_is_drawn(tmp_path):
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("image_id,label,x,y,width,height\na,Infiltrate,0,0,10,10\n")

    def opened(*sources, findings, **labels):
        return lesions.opened(map(str, sources), FILMS, findings=findings, labels=labels)

    way_out = r"found lesions of 'Infiltrate', expected .*data.labels={Infiltrate: Mass}"
    with pytest.raises(DataError, match=way_out):
        opened(boxes, findings=["Mass", "Effusion"])
    assert len(opened(boxes, findings=["Mass", "Effusion"], Infiltrate="Mass")) == 1
    (tmp_path / "masks/mass").mkdir(parents=True)
    (tmp_path / "masks/mass/other.png").write_bytes(b"is never read")
    with pytest.raises(DataError, match=r"masks: knows none of the 3 films.*found 'other'"):
        opened(boxes, tmp_path / "masks", findings=[])


def test_evidence_in_the_lesion_has_its_area_beside_it():
    def maps(*stacks):
        stack = np.array(stacks, np.float32)
        zeros = np.zeros(len(stack), int)
        ids = np.array(["a", "b", "c"])
        return MapSet(ids, zeros, zeros, np.zeros((3, 1)), {("last", "cam"): stack}, {})

    lesion = np.zeros((3, 4, 4), bool)
    lesion[:2, :2, :2] = True  # a quarter of two films; of the third none is known
    inside, even, outside = [[1, 0], [0, 0]], [[1, 2], [1, 0]], [[0, 1], [0, 0]]
    before, after = maps(outside, even, inside), maps(inside, even, inside)

    def table_of(after, lesion):
        two = {"before": before, "after": after}
        return lesions.lesion_table(two, lesion, classes=["ill"], patients=list("pqr"))

    table = table_of(after, lesion).set_index("measure")
    mass = table.loc["lesion_mass"]
    assert mass["films"] == 2 and mass["area"] == 0.25
    assert mass["before"] == pytest.approx((0 + 0.25) / 2)
    assert mass["after"] == pytest.approx((1 + 0.25) / 2) and mass["change"] == pytest.approx(0.5)
    assert table.loc["lesion_hit", "before"] == 0 and table.loc["lesion_hit", "after"] == 0.5
    assert table.loc["lesion_enrichment", "after"] == pytest.approx((4 + 1) / 2)
    gone = maps(np.zeros((2, 2)), even, inside)
    left = table_of(gone, lesion).set_index("measure")
    assert left.loc["lesion_mass", "films"] == 1 and left.loc["lesion_mass", "before"] == 0.25
    assert table_of(after, lesion & False).empty
