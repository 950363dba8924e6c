"""Known answers for split folders, NIH-style tables, archives and films in odd places."""

import os
import zipfile

import pytest
from material import CLASSES, encoded, film, write_csv

from lib.data.index import read_index
from lib.study.errors import DataError

NIH = ["Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age"]
NIH += ["Patient Gender", "View Position", "OriginalImage[Width", "Height]", ""]
NIH_ROWS = [
    ["1_000.png", "No Finding", "0", "1", "58", "M", "PA", "2682", "2749", ""],
    ["1_001.png", "Pneumonia|Pneumonia", "1", "1", "58", "M", "AP", "2894", "2729", ""],
    ["2_000.png", "Effusion|Pneumonia", "0", "2", "81", "F", "PA", "2500", "2048", ""],
]


def films(*paths):
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(film(number)))


def test_split_folders(tmp_path):
    places = [("val", "normal"), ("train", "covid19"), ("train", "normal"), ("test", "COVID")]
    films(*(tmp_path / split / label / "a.png" for split, label in places))
    index = read_index(tmp_path, classes=CLASSES, labels={"COVID": "covid19"})
    assert index["file"].tolist() == [
        "train/normal/a.png", "train/covid19/a.png", "test/COVID/a.png", "val/normal/a.png",
    ]  # fmt: skip
    assert index["label"].tolist() == ["normal", "covid19", "covid19", "normal"]
    assert index["split"].tolist() == ["train", "train", "test", "validation"]


def test_folders_named_like_splits_may_be_classes(tmp_path):
    films(tmp_path / "train" / "a.png", tmp_path / "test" / "b.png")
    index = read_index(tmp_path, classes=["train", "test"])
    assert index["label"].tolist() == ["train", "test"] and (index["split"] == "").all()


def test_split_folders_refuse_other_classes_and_loose_films(tmp_path):
    films(tmp_path / "train" / "normal" / "a.png", tmp_path / "test" / "flu" / "b.png")
    with pytest.raises(DataError, match=r"test: found folders 'flu', expected only \['normal', 'c"):
        read_index(tmp_path, classes=CLASSES)
    films(tmp_path / "test" / "c.png")
    with pytest.raises(DataError, match=r"test: found films outside the class folders: 'c\.png'"):
        read_index(tmp_path, classes=CLASSES)


def test_other_folders_can_be_listed_as_rejected(collection):
    films(collection / "flu" / "x.png")
    index = read_index(collection, classes=CLASSES, other_labels="reject")
    assert index["refused"].tolist() == [""] * 12 + ["no class of the study (found 'flu')"]
    assert index["file"].tolist()[-1] == "flu/x.png"
    mapped = read_index(collection, classes=CLASSES, labels={"flu": "normal"})
    assert "refused" not in mapped
    assert mapped["label"].tolist() == ["normal"] * 7 + ["covid19"] * 6
    with pytest.raises(DataError, match=r"labels: found \{'flu': 'x'\}, expected classes of"):
        read_index(collection, classes=CLASSES, labels={"flu": "x"})


def test_nih_table(tmp_path):
    films(tmp_path / "images_001" / "images" / "1_000.png", tmp_path / "images_002" / "2_000.png")
    table = write_csv(tmp_path / "Data_Entry_2017.csv", [NIH, *NIH_ROWS])
    with pytest.raises(DataError, match=r"label of rows 3: found 'Effusion\|Pneumonia'.*reject"):
        read_index(table, classes=["normal", "pneumonia"])
    index = read_index(table, classes=["normal", "pneumonia"], other_labels="reject")
    assert index.to_dict("list") == {
        "image_id": ["1_000.png", "1_001.png", "2_000.png"],
        "file": ["images_001/images/1_000.png", "1_001.png", "images_002/2_000.png"],
        "label": ["normal", "pneumonia", "Effusion|Pneumonia"],
        "patient_id": ["1", "1", "2"],
        "patient_known": [True] * 3,
        "split": [""] * 3,
        "view": ["PA", "AP", "PA"],
        "age": ["58", "58", "81"],
        "sex": ["M", "M", "F"],
        "refused": ["", "", "no class of the study (found 'Effusion|Pneumonia')"],
    }
    mapped = read_index(
        table, classes=["normal", "ill"], labels={"Pneumonia": "ill", "Effusion": "ill"}
    )
    assert mapped["label"].tolist() == ["normal", "ill", "ill"]


def test_nih_film_in_two_places(tmp_path):
    films(tmp_path / "a" / "1_000.png", tmp_path / "b" / "1_000.png")
    table = write_csv(tmp_path / "t.csv", [NIH, *NIH_ROWS])
    with pytest.raises(DataError, match=r"found '1_000\.png' in 'a/1_000\.png', 'b/1_000\.png'"):
        read_index(table, classes=["normal", "pneumonia"], other_labels="reject")


def test_archives_are_refused_with_what_to_do(tmp_path, collection):
    archive = tmp_path / "films.dat"  # told by content
    with zipfile.ZipFile(archive, "w") as handle:
        handle.writestr("normal/a.png", encoded(film()))
    with pytest.raises(DataError, match=r"films\.dat: found a ZIP archive.* do so, e\.g\. `unzip"):
        read_index(archive, classes=CLASSES)
    (collection / "more.zip").write_bytes(archive.read_bytes())
    with pytest.raises(DataError, match=r"found archives: 'more\.zip'; expected class folders"):
        read_index(collection, classes=CLASSES)


def test_loose_films_and_folders_named_like_films_are_not_overlooked(collection):
    (collection / "normal" / "x.png").mkdir()
    films(collection / "normal" / "x.png" / "inside.png")
    files = read_index(collection, classes=CLASSES)["file"].tolist()
    assert {"normal/x.png", "normal/x.png/inside.png"} <= set(files)
    films(collection / "loose.PNG")
    with pytest.raises(DataError, match=r"found films outside the class folders: 'loose\.PNG'"):
        read_index(collection, classes=CLASSES)


def test_folder_that_cannot_be_listed(collection, monkeypatch):
    (collection / "normal" / "closed").mkdir()
    scandir = os.scandir

    def denied(path):
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DataError, match=r"normal/closed: cannot be listed \(Permission denied\)"):
        read_index(collection, classes=CLASSES)


def test_names_that_no_table_can_hold(collection):
    (collection / "normal" / os.fsdecode(b"bad\xff.png")).write_bytes(encoded(film()))
    with pytest.raises(DataError, match=r"'normal/bad\\udcff\.png', has a name that is not UTF-8"):
        read_index(collection, classes=CLASSES)


def test_links_within_the_folder(collection):
    (collection / "normal" / "broken.png").symlink_to("gone.png")
    (collection / "normal" / "loop.png").symlink_to("loop.png")
    (collection / "normal" / "fine.png").symlink_to("normal_0.png")
    files = read_index(collection, classes=CLASSES)["file"].tolist()
    assert {f"normal/{name}.png" for name in ("broken", "loop", "fine")} <= set(files)
