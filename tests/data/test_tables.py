"""Known answers for tables as people write them and as collections publish them."""

import pandas as pd
import pytest
from material import CLASSES, write_csv

from lib.data.index import class_names, read_index
from lib.data.lookup import find_files
from lib.data.tables import PUBLISHED, read_table
from lib.study.errors import DataError


def touched(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def table(folder, rows, delimiter=",", name="t.csv"):
    text = "\n".join(delimiter.join(row) for row in rows)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


PLAIN = [["file", "label"], ["a.png", "normal"], ["b.png", "covid19"]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_header_and_blank_rows_do_not_matter(tmp_path, delimiter):
    touched(tmp_path, "a.png", "b.png")
    expected = read_index(table(tmp_path, PLAIN), classes=CLASSES)
    rows = [["File", " LABEL ", "Split"], *([*row, "Train"] for row in PLAIN[1:])]
    path = table(tmp_path, [*rows, ["", "", ""], [], [" ", "", ""]], delimiter, "u.tsv")
    found = read_index(path, classes=CLASSES)
    pd.testing.assert_frame_equal(found.assign(split=""), expected)
    assert found["split"].tolist() == ["train", "train"]


@pytest.mark.parametrize("column", ["PatientID", "Patient ID", "patient", "subject_id", "SUBJECT"])
def test_patients_under_other_names(tmp_path, column):
    rows = [[*row, f"p{number}"] for number, row in enumerate(PLAIN[1:])]
    touched(tmp_path, "a.png", "b.png")
    path = table(tmp_path, [["file", "label", column], *rows])
    index = read_index(path, classes=CLASSES)
    assert index["patient_id"].tolist() == ["p0", "p1"] and index["patient_known"].all()


def test_two_columns_of_patients_are_asked_about(tmp_path):
    path = table(tmp_path, [["file", "label", "patient", "subject_id"], ["a", "b", "1", "2"]])
    with pytest.raises(DataError, match=r"'patient', 'subject_id', expected one that tells the pa"):
        read_table(path)


@pytest.mark.parametrize("told", ["ANONYMOUS", "0000", "x"])
def test_one_id_for_all_is_no_id(tmp_path, told):
    touched(tmp_path, "a.png", "b.png")
    path = table(tmp_path, [["file", "label", "patient_id"], *([*row, told] for row in PLAIN[1:])])
    index = read_index(path, classes=CLASSES)
    assert index["patient_id"].tolist() == ["a.png", "b.png"] and not index["patient_known"].any()


def test_columns_named_like_ours_do_not_collide(tmp_path):
    touched(tmp_path, "a.png", "b.png")
    own = ["refused", "has_lungs", "remarks", "row"]
    path = table(tmp_path, [[*PLAIN[0], *own], *([*row, "no", "1", "x", "7"] for row in PLAIN[1:])])
    index = read_index(path, classes=CLASSES)
    assert not {"refused", "has_lungs", "remarks", "row"} & set(index)
    assert index["table_refused"].tolist() == ["no", "no"] and index["table_row"][0] == "7"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("sub/a.png", "sub/a.png"),
        ("sub/A.PNG", "sub/a.png"),
        ("sub/a", "sub/a.png"),
        ("sub\\a.png", "sub/a.png"),
        ("a.png", "sub/a.png"),
        ("A", "sub/a.png"),
        ("{root}/sub/a.png", "sub/a.png"),
        ("D:\\films\\sub\\a.png", "sub/a.png"),
        ("CheXpert-v1.0-small/sub/a.png", "sub/a.png"),
        ("other/a.png", "other/a.png"),
        ("../sub/a.png", "../sub/a.png"),
        ("sub/c", "sub/c"),
        ("b.dicom", "sub/b.dicom"),
        ("", ""),
    ],
)
def test_films_are_found_under_the_names_of_other_systems(tmp_path, name, found):
    touched(tmp_path, "sub/a.png", "sub/b.dicom", "sub/c/d.png")
    assert find_files([name.format(root=tmp_path)], tmp_path) == [found]


def test_one_leading_part_may_be_left_out_and_no_film_is_taken_for_another(tmp_path):
    touched(tmp_path, "1.png", "test/2.png")
    names = ["far/1.png", "far/test/2.png", "near/1.png", "test/1.png"]
    assert find_files(names, tmp_path) == ["1.png", "test/2.png", "near/1.png", "test/1.png"]
    touched(tmp_path, "test/1.jpg")
    with pytest.raises(DataError, match=r"found '1' in '1\.png', 'test/1\.jpg'; expected one film"):
        find_files(["1"], tmp_path)


def test_a_table_without_most_of_its_films_says_where_it_looked(tmp_path):
    touched(tmp_path, "film_a.png", "zzz.png")
    rows = [["film_b.png", "normal"], ["c.png", "covid19"], ["zzz.png", "covid19"]]
    path = table(tmp_path, [["file", "label"], *rows])
    with pytest.raises(DataError, match="2 of 3 files are not there") as caught:
        read_index(path, classes=CLASSES)
    assert len(read_index(table(tmp_path, [["file", "label"], rows[0], rows[2]]), classes=CLASSES))
    assert f"looked for as {tmp_path}/film_b.png, the nearest name is 'film_a.png'" in str(
        caught.value
    )


ONE_HOT = ["No Finding", "Pneumonia", "Edema"]
CASES = {
    "NIH ChestX-ray14": (
        [["Image Index", "Finding Labels", "Patient ID", "View Position"],
         ["a.png", "No Finding", "1", "PA"], ["b.png", "Pneumonia", "2", "AP"],
         ["c.png", "Edema|Pneumonia", "2", "AP"]],
        ["1", "2", "2"], ["PA", "AP", "AP"],
    ),
    "PadChest": (
        [["ImageID", "PatientID", "Projection", "Labels"],
         ["a.png", "1", "PA", "\"['normal']\""], ["b.png", "2", "AP", "\"['pneumonia']\""],
         ["c.png", "2", "AP", "\"['Edema', 'Pneumonia']\""]],
        ["1", "2", "2"], ["PA", "AP", "AP"],
    ),
    "VinDr-CXR": (
        [["image_id", "class_name", "rad_id", "x_min"], ["a", "No finding", "R1", ""],
         ["b", "Pneumonia", "R1", "3"], ["b", "Pneumonia", "R2", "4"], ["c", "Edema", "R1", "5"],
         ["c", "Pneumonia", "R2", "6"]],
        None, None,
    ),
    "VinDr-CXR, labels of images": (
        [["image_id", "rad_id", *ONE_HOT], ["a", "R1", "1", "0", "0"], ["b", "R1", "0", "1", "0"],
         ["b", "R2", "0", "0", "0"], ["c", "R1", "0", "0", "1"], ["c", "R2", "0", "1", "0"]],
        None, None,
    ),
    "CheXpert": (
        [["Path", "Sex", "Frontal/Lateral", "AP/PA", *ONE_HOT],
         ["C-v1/patient1/a.png", "F", "Frontal", "PA", "1.0", "", ""],
         ["C-v1/patient2/b.png", "F", "Frontal", "AP", "", "1.0", "0.0"],
         ["C-v1/patient2/c.png", "F", "Lateral", "", "", "1.0", "1.0"]],
        ["patient1", "patient2", "patient2"], ["PA", "AP", "LATERAL"],
    ),
    "MIMIC-CXR": (
        [["dicom_id", "subject_id", "study_id", "ViewPosition", "split", *ONE_HOT],
         ["a", "1", "11", "PA", "train", "1.0", "", ""],
         ["b", "2", "12", "AP", "validate", "", "1.0", "0.0"],
         ["c", "2", "13", "AP", "test", "", "1.0", "1.0"]],
        ["1", "2", "2"], ["PA", "AP", "AP"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_published_tables_are_known_by_their_columns(tmp_path, name):
    rows, patients, views = CASES[name]
    places = ["patient1/a.png", "patient2/b.png", "patient2/c.png"]
    if name != "CheXpert":
        places = [place.replace("patient", "p") for place in places]
    touched(tmp_path, *places)
    path = table(tmp_path, rows)
    index = read_index(path, classes=["normal", "pneumonia"], other_labels="reject")
    assert index["file"].tolist() == places
    assert index["label"].tolist()[:2] == ["normal", "pneumonia"]
    assert sorted(index["label"][2].split("|")) == ["Edema", "Pneumonia"]
    assert (index["refused"] != "").tolist() == [False, False, True]
    if patients:
        assert index["patient_id"].tolist() == patients and index["view"].tolist() == views
    if name == "MIMIC-CXR":
        assert index["split"].tolist() == ["train", "validation", "test"]


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        (
            [["patientId", "x", "y", "width", "height", "Target"], ["a", "", "", "", "", "0"],
             ["b", "1", "2", "3", "4", "1"], ["b", "5", "6", "7", "8", "1"]],
            ["No Lung Opacity", "Lung Opacity"],
        ),
        (
            [["patientId", "class"], ["a", "Normal"], ["b", "Lung Opacity"], ["b", "Lung Opacity"]],
            ["Normal", "Lung Opacity"],
        ),
        (
            [["ImageId", "EncodedPixels"], ["a", "-1"], ["b", "3 4 5 6"], ["b", "30 4 5 6"]],
            ["No Pneumothorax", "Pneumothorax"],
        ),
    ],
)  # fmt: skip
def test_tables_of_one_finding(tmp_path, rows, names):
    touched(tmp_path, "a.dcm", "deep/b.dcm")
    path = table(tmp_path, rows)
    assert class_names(path) == tuple(sorted(names))
    index = read_index(path, classes=names)
    assert index["label"].tolist() == names and index["file"].tolist() == ["a.dcm", "deep/b.dcm"]


def test_the_tables_of_mimic_are_joined(tmp_path):
    touched(tmp_path, "p10/a.dcm", "p10/b.dcm", "p11/c.dcm")
    films = [["a", "10", "1"], ["b", "10", "1"], ["c", "11", "2"]]
    splits = ["train", "train", "validate"]
    header = ["dicom_id", "subject_id", "study_id"]
    for name, column, values in (("meta", "ViewPosition", ["PA"] * 3), ("split", "split", splits)):
        rows = [[*row, value] for row, value in zip(films, values, strict=True)]
        table(tmp_path, [[*header, column], *rows], name=f"{name}.csv")
    rows = [[*header[1:], "Edema", "No Finding"], ["10", "1", "1.0", ""], ["11", "2", "", "1.0"]]
    path = table(tmp_path, rows)
    index = read_index(path, classes=["edema", "normal"])
    assert index["file"].tolist() == ["p10/a.dcm", "p10/b.dcm", "p11/c.dcm"]
    assert index["label"].tolist() == ["edema", "edema", "normal"]
    assert index["patient_id"].tolist() == ["10", "10", "11"]
    assert index["split"].tolist() == ["train", "train", "validation"]
    assert index["view"].tolist() == ["PA"] * 3


def test_an_uncertain_finding_means_no_class(tmp_path):
    rows = [["dicom_id", "subject_id", "Edema"], ["a", "1", "1.0"], ["b", "2", "-1.0"]]
    path = touched(tmp_path, "a.png", "b.png") and table(tmp_path, rows)
    assert read_table(path)["label"].tolist() == ["Edema", "Edema?"]
    taken = read_index(path, classes=["edema"], labels={"Edema?": "edema"})
    assert taken["label"].tolist() == ["edema", "edema"]


def test_classes_of_a_table_of_several_findings_must_be_told(tmp_path):
    path = table(tmp_path, CASES["PadChest"][0])
    with pytest.raises(DataError, match="several to a film; expected to be told the classes"):
        class_names(path)


def test_an_unknown_table_is_told_which_are_known(tmp_path):
    with pytest.raises(DataError) as caught:
        read_table(write_csv(tmp_path / "t.csv", [["picture", "kind"], ["a", "b"]]))
    assert "['file', 'label'] missing" in str(caught.value)
    assert all(name in str(caught.value) for name in PUBLISHED)


def test_a_column_that_occurs_twice_is_refused_also_where_labels_are_findings(tmp_path):
    rows = [["file", "mass", "mass"], ["a.png", "1", "0"]]
    touched(tmp_path, "a.png")
    with pytest.raises(DataError, match=r"mass|label"):
        read_index(table(tmp_path, rows), classes=CLASSES)
