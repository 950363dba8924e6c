"""Known answers for the index, the splits and the counts of a collection."""

import pandas as pd
import pytest
from material import CLASSES, encoded, film, write_csv

from lib.data.index import read_index
from lib.study.errors import DataError


def test_folder_and_manifest_give_the_same_index(collection):
    folder = read_index(collection, classes=CLASSES)
    rows = [("file", "label"), *folder[["file", "label"]].itertuples(index=False)]
    manifest = write_csv(collection / "manifest.csv", rows)
    pd.testing.assert_frame_equal(read_index(manifest, classes=CLASSES), folder)
    assert folder["file"].tolist() == [f"{c}/{c}_{n}.png" for c in CLASSES for n in range(6)]
    assert folder["label"].tolist() == ["normal"] * 6 + ["covid19"] * 6
    assert (folder["patient_id"] == folder["image_id"]).all()
    assert not folder["patient_known"].any() and (folder["split"] == "").all()


def test_folder_is_searched_in_depth_without_hidden_files(collection):
    (collection / "normal" / "site").mkdir()
    (collection / "normal" / "site" / "one.png").write_bytes(encoded(film()))
    (collection / "normal" / ".DS_Store").write_bytes(b"x")
    (collection / ".git").mkdir()
    (collection / "README.txt").write_text("not a class")
    files = read_index(collection, classes=CLASSES)["file"].tolist()
    assert "normal/site/one.png" in files and len(files) == 13


def test_manifest_columns(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "c.png").touch()
    manifest = write_csv(
        tmp_path / "m.csv",
        [
            ("image_id", "file", "label", "patient_id", "split", "source"),
            ("007", "./a.png", " normal ", "01", "val", "x, y"),
            ("", "sub/b.png", "covid19", "N/A", "test", ""),
            ("9", "c.png", "covid19", " ", "train", "z"),
        ],
    )
    index = read_index(manifest, classes=CLASSES)
    assert index.to_dict("list") == {
        "image_id": ["007", "sub/b.png", "9"],
        "file": ["a.png", "sub/b.png", "c.png"],
        "label": ["normal", "covid19", "covid19"],
        "patient_id": ["01", "sub/b.png", "9"],
        "patient_known": [True, False, False],
        "split": ["validation", "test", "train"],
        "source": ["x, y", "", "z"],
    }


HEADER = ("file", "label")
GOOD = [("n.png", "normal"), ("c.png", "covid19")]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("path", "label"), ("a", "b")], r"found columns \['path', 'label'\].*\['file'\] missing"),
        ([("file", "label", "label"), ("a", "b", "c")], "expected distinct ones"),
        ([], r"found columns \[\].*missing"),
        ([HEADER], "found no rows"),
        ([HEADER, *GOOD, ("x.png",)], "numbers of fields in rows 3, expected rows of 2 fields"),
        ([HEADER, *GOOD, ("x.png", "flu")], r"label of rows 3: found 'flu', expected one of \['no"),
        ([HEADER, GOOD[0]], "no image of class 'covid19'"),
        ([HEADER, *GOOD, ("./n.png", "normal")], "file of rows 1, 3: found 'n.png'"),
        ([HEADER, *GOOD, ("/n.png", "normal")], "file of row 3, '/n.png', is absolute"),
        ([HEADER, *GOOD, (r"C:\n.png", "normal")], "is absolute"),
        ([HEADER, *GOOD, ("a/../../n.png", "normal")], r"leaves the data folder by '\.\.'"),
        ([HEADER, *GOOD, ("", "normal")], "is blank"),
        (
            [(*HEADER, "image_id"), (*GOOD[0], "1"), (*GOOD[1], "1")],
            "image_id of rows 1, 2: found '1', expected each once",
        ),
        (
            [(*HEADER, "split"), (*GOOD[0], "train"), (*GOOD[1], "dev")],
            r"split of rows 2: found 'dev', expected one of \['train', 'validation', 'test'\]",
        ),
        (
            [(*HEADER, "lung_mask"), (*GOOD[0], ""), (*GOOD[1], "../mask.png")],
            r"lung_mask of row 2, '../mask.png', leaves",
        ),
    ],
)
def test_manifest_errors_name_what_is_wrong(tmp_path, rows, message):
    manifest = write_csv(tmp_path / "m.csv", rows)
    with pytest.raises(DataError, match=message) as caught:
        read_index(manifest, classes=CLASSES)
    assert str(manifest) in str(caught.value)


def test_manifest_that_is_not_text(tmp_path):
    (tmp_path / "m.csv").write_bytes(b"file,label\n\xff\xfe,normal\n")
    with pytest.raises(DataError, match=r"m\.csv: not a CSV in UTF-8"):
        read_index(tmp_path / "m.csv", classes=CLASSES)


def test_symbolic_links_that_leave_the_folder_are_refused(collection, tmp_path):
    outside = tmp_path / "outside.png"
    outside.write_bytes(encoded(film()))
    (collection / "normal" / "link.png").symlink_to(outside)
    with pytest.raises(DataError, match=r"normal/link\.png.*by a symbolic link"):
        read_index(collection, classes=CLASSES)
    (collection / "normal" / "link.png").unlink()
    (collection / "normal" / "more").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(DataError, match="normal/more: found a symbolic link to a folder"):
        read_index(collection, classes=CLASSES)


def test_wrong_places_and_folders(collection, tmp_path):
    with pytest.raises(DataError, match="nowhere: found nothing, expected a folder of class folde"):
        read_index(tmp_path / "nowhere", classes=CLASSES)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"notes\.txt: found something else, expected a folder"):
        read_index(tmp_path / "notes.txt", classes=CLASSES)
    with pytest.raises(DataError, match=r"found folders 'covid19', expected only \['normal'\]"):
        read_index(collection, classes=["normal"])
    with pytest.raises(DataError, match="no image of class 'tuberculosis'"):
        read_index(collection, classes=[*CLASSES, "tuberculosis"])
    with pytest.raises(DataError, match=r"classes: found .* expected distinct names"):
        read_index(collection, classes=["normal", "normal"])
