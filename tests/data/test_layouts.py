"""Known answers for split folders, NIH-style tables, archives and films in odd places."""

import os
import re
import zipfile

import pytest
from material import CLASSES, encoded, film, write_csv

from lib.data.index import class_names, read_index
from lib.study.errors import DataError
from lib.study.load import parse_overrides

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


@pytest.mark.parametrize(
    "names",
    [("train", "test", "val"), ("Train", "Test", "Val"), ("Training", "Testing", "valid")],
)
def test_split_folders_as_people_write_them(tmp_path, names):
    films(*(tmp_path / split / label / "a.png" for split in names for label in ("Normal", "COVID")))
    index = read_index(tmp_path, classes=CLASSES, labels={"covid": "covid19"})
    assert index["split"].tolist() == ["train"] * 2 + ["test"] * 2 + ["validation"] * 2
    assert index["label"].tolist() == ["normal", "covid19"] * 3
    assert index["file"].tolist()[::3] == [f"{names[0]}/Normal/a.png", f"{names[1]}/COVID/a.png"]
    films(tmp_path / names[0] / "NORMAL" / "b.png")
    assert class_names(tmp_path) == ("COVID", "NORMAL")


def test_class_names_as_people_write_them(tmp_path):
    films(*(tmp_path / name / "a.png" for name in ("Viral Pneumonia", "NORMAL", "Covid-19")))
    classes = ["viral_pneumonia", "normal", "covid19"]
    assert read_index(tmp_path, classes=classes)["label"].tolist() == classes
    films(tmp_path / "Corona" / "a.png")
    with pytest.raises(DataError) as caught:
        read_index(tmp_path, classes=classes)
    lines = re.findall(r'SET="(.*?)"', str(caught.value))
    assert lines[:2] == [
        "classes=[Corona, Covid-19, NORMAL, Viral Pneumonia]",
        "data.labels={Corona: viral_pneumonia}",
    ]
    assert len(lines) == 3
    for line in lines:  # each works when followed
        said = parse_overrides(line)
        how = {"classes": said.get("classes", classes), **said.get("data", {})}
        assert len(read_index(tmp_path, **how)) == 4


def test_classes_that_differ_in_case_only_stay_apart(tmp_path):
    films(tmp_path / "A B" / "a.png", tmp_path / "a_b" / "b.png")
    assert read_index(tmp_path, classes=["A B", "a_b"])["label"].tolist() == ["A B", "a_b"]


def test_what_systems_leave_behind_is_passed_over(collection):
    for name in ("Thumbs.db", "desktop.ini", "DICOMDIR", "normal/Thumbs.db", "normal/.DS_Store"):
        (collection / name).write_bytes(b"x")
    for place in (collection, collection / "normal"):
        films(place / "__MACOSX" / "normal_0.png")
    assert len(read_index(collection, classes=CLASSES)) == 12
    assert class_names(collection) == ("covid19", "normal")


@pytest.mark.parametrize(
    ("place", "mask", "column"),
    [
        ("COVID/images/x.png", "COVID/masks/x.png", "lung_mask"),
        ("COVID/x.png", "COVID/Lung Masks/x_mask.png", "lung_mask"),
        ("COVID/x.png", "masks/COVID/x.png", "lung_mask"),
        ("COVID/images/x.jpg", "COVID/infection masks/x.png", "lesion_mask"),
        ("Train/COVID/images/x.png", "Train/COVID/lung masks/x.png", "lung_mask"),
        ("Train/COVID/x.png", "Train/masks/COVID/x.png", "lung_mask"),
    ],
)
def test_folders_named_like_masks_are_masks(tmp_path, place, mask, column):
    other = place.replace("COVID", "Normal").replace("x.", "y.")
    films(*(tmp_path / name for name in (place, mask, other)))
    index = read_index(tmp_path, classes=["COVID", "Normal"])
    assert index["file"].tolist() == [place, other]
    assert index[column].tolist() == [mask, ""]
    assert class_names(tmp_path) == ("COVID", "Normal")


def test_masks_without_films_and_two_for_one_film_are_asked_about(tmp_path):
    films(tmp_path / "a" / "x.png", tmp_path / "b" / "y.png", tmp_path / "b" / "masks" / "z.png")
    with pytest.raises(DataError, match=r"named like masks, 'b/masks', without films of the same"):
        read_index(tmp_path, classes=["a", "b"])
    films(tmp_path / "b" / "masks" / "y.png", tmp_path / "b" / "lung_masks" / "y.png")
    with pytest.raises(DataError, match=r"two masks for one film, 'b/lung_masks/y.png' and 'b/mas"):
        read_index(tmp_path, classes=["a", "b"])


def test_a_class_may_be_named_like_masks(tmp_path):
    films(tmp_path / "mask" / "x.png", tmp_path / "no mask" / "x.png")
    index = read_index(tmp_path, classes=["mask", "no mask"])
    assert index["label"].tolist() == ["mask", "no mask"] and "lung_mask" not in index


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
