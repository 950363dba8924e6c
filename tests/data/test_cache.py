"""Known answers for the memory-mapped films and masks."""

import errno
import hashlib
import io
from types import SimpleNamespace

import numpy as np
import pytest
from dicom_material import dicom
from material import CLASSES, encoded, film, read_image

from lib.data import cache as image_cache
from lib.data import growing_arrays
from lib.data.audit.measures import COLUMNS, measure
from lib.data.films import squares
from lib.data.films.decode import read_bytes
from lib.data.films.squares import resize
from lib.data.index import read_index
from lib.study.errors import DataError


def built(index, root, tmp_path, **options):
    """Manifest and rejected of a cache in a folder of that name, 32 pixels, cropped."""
    settings = {"sizes": [32], "aspect": "crop", "folder": tmp_path / "cache"} | options
    return image_cache.build(index, root, **settings)


def test_cache_is_the_resized_film_row_by_row(collection, tmp_path):
    (collection / "normal" / "normal_2.png").write_bytes(b"")
    (collection / "covid19" / "covid19_1.png").write_bytes(encoded(film(), "JPEG")[:200])
    index = read_index(collection, classes=CLASSES).sample(frac=1, random_state=3)
    caches, seen = [], []
    for workers in (1, 4):
        folder = tmp_path / f"cache{workers}"
        manifest, rejected = built(
            index, collection, tmp_path, sizes=[32, 20], aspect="letterbox", folder=folder,
            workers=workers, progress=lambda done, total: seen.append((done, total)),
        )  # fmt: skip
        assert sorted(p.name for p in folder.iterdir()) == ["images_20.npy", "images_32.npy"]
        caches.append([(folder / f"images_{size}.npy").read_bytes() for size in (20, 32)])
    assert caches[0] == caches[1]
    assert seen == [(n, 12) for n in range(1, 13)] * 2

    bad = {"normal/normal_2.png": "empty file", "covid19/covid19_1.png": "truncated"}
    kept = [file for file in index["file"] if file not in bad]
    assert manifest["file"].tolist() == kept and manifest["row"].tolist() == list(range(10))
    assert dict(zip(rejected["file"], rejected["reason"], strict=True)) == bad
    assert [file.split("/")[0] for file in rejected["file"]] == rejected["label"].tolist()
    assert (manifest["width"] == 48).all() and (manifest["height"] == 40).all()
    for size in (20, 32):
        cache = image_cache.load(folder / f"images_{size}.npy")
        assert isinstance(cache, np.memmap) and cache.shape == (10, size, size)
        for row, file, digest in zip(manifest["row"], kept, manifest["sha256"], strict=True):
            expected = resize(read_image(collection / file), size=size, aspect="letterbox")
            np.testing.assert_array_equal(cache[row], expected)
            assert digest == hashlib.sha256((collection / file).read_bytes()).hexdigest()


def test_no_readable_film_is_an_error_and_keeps_the_old_cache(collection, tmp_path):
    index = read_index(collection, classes=CLASSES)
    built(index, collection, tmp_path)
    before = (tmp_path / "cache" / "images_32.npy").read_bytes()
    with pytest.raises(DataError, match=r"none of 12 files could be read, found 'missing \(12\)'"):
        built(index, tmp_path / "elsewhere", tmp_path)
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["images_32.npy"]
    assert (tmp_path / "cache" / "images_32.npy").read_bytes() == before


def test_a_collection_of_which_most_is_unusable_stops(collection, tmp_path):
    index = read_index(collection, classes=CLASSES)
    files = [collection / file for file in index["file"]]
    for path in files[:6]:
        path.write_bytes(b"")
    assert len(built(index, collection, tmp_path)[1]) == 6
    files[6].write_bytes(b"")
    message = r"only 5 of 12 files could be read, found 'empty file \(7\)'; .* at most 50% of"
    with pytest.raises(DataError, match=message):
        built(index, collection, tmp_path)
    refused = [""] * 5 + ["no class of the study (found 'flu')"] * 7  # that was asked for
    assert len(built(index[::-1].assign(refused=refused), collection, tmp_path)[0]) == 5


def test_one_id_in_all_headers_is_no_patient(collection, tmp_path):
    index = read_index(collection, classes=CLASSES)
    for told, known in (("0000", 0), ("ANONYMOUS", 0), ("p", 12)):
        for number, file in enumerate(index["file"]):
            name = told + str(number) if known else told
            (collection / file).write_bytes(dicom(film(number), PatientID=name))
        assert built(index, collection, tmp_path)[0]["patient_known"].sum() == known


def test_full_disk_names_file_and_bytes_and_leaves_nothing(collection, tmp_path, monkeypatch):
    class FullDisk(io.FileIO):
        def write(self, content):
            if self.tell() + len(content) > 3000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(content)

    index = read_index(collection, classes=CLASSES)
    settings = {"sizes": [16, 32], "aspect": "crop", "folder": tmp_path / "cache"}
    message = rf"images_16\.npy, .*No space left.*bytes free, expected {12 * (16**2 + 32**2)}\."

    def opened(path, mode, buffer=io.DEFAULT_BUFFER_SIZE):
        return io.BufferedWriter(FullDisk(path, mode), buffer)

    with monkeypatch.context() as patch:
        patch.setattr(growing_arrays, "open", opened, raising=False)
        with pytest.raises(DataError, match=message):
            image_cache.build(index, collection, **settings)
    assert list((tmp_path / "cache").iterdir()) == []
    monkeypatch.setattr(growing_arrays.shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    with pytest.raises(DataError, match="found 100 bytes free"):
        image_cache.build(index, collection, **settings)
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("end", ["interrupt", "kill"])
def test_an_interrupted_run_is_taken_up_where_it_stopped(collection, tmp_path, monkeypatch, end):
    """A kill leaves what was handed to the system, here every second row, and a torn line."""
    monkeypatch.setattr(growing_arrays, "ROWS_AT_RISK", 2)
    (collection / "normal" / "normal_2.png").write_bytes(b"")
    index = read_index(collection, classes=CLASSES)
    settings = {"sizes": [32, 20], "aspect": "crop", "measure": measure, "workers": 1}
    whole = image_cache.build(index, collection, folder=tmp_path / "whole", **settings)
    folder, decoded = tmp_path / "cache", []

    def stop(done, total):
        if done == 8:
            for file in folder.iterdir():  # a kill does not close files: keep them as they are now
                (tmp_path / file.name).write_bytes(file.read_bytes())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        image_cache.build(index, collection, folder=folder, progress=stop, **settings)
    left = sorted(path.name.split("-")[-1] for path in folder.iterdir())
    assert left == ["images.jsonl", "images_20.npy", "images_32.npy"]
    if end == "kill":
        for file in folder.iterdir():
            file.write_bytes((tmp_path / file.name).read_bytes())
        with open(next(folder.glob("*.jsonl")), "ab") as journal:
            journal.write(b'[1, ["", {"sha2')

    def counted(path):
        decoded.append(path)
        return read_bytes(path)

    monkeypatch.setattr(squares, "read_bytes", counted)
    again = image_cache.build(index, collection, folder=folder, **settings)
    assert [str(path.name) for path in decoded] == [
        file.split("/")[1] for file in index["file"][8:]
    ]  # fmt: skip
    for one, other in zip(whole, again, strict=True):
        assert one.equals(other)
    assert sorted(path.name for path in folder.iterdir()) == ["images_20.npy", "images_32.npy"]
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "whole" / path.name).read_bytes()


def test_rows_of_other_films_or_settings_are_not_taken_up(collection, tmp_path):
    index = read_index(collection, classes=CLASSES)

    def stop(done, total):
        if done == 8:
            raise KeyboardInterrupt

    for aspect, change in (("crop", encoded(film(77))), ("squash", None)):
        with pytest.raises(KeyboardInterrupt):
            built(index, collection, tmp_path, progress=stop)
        if change:
            (collection / "normal" / "normal_2.png").write_bytes(change)
        built(index, collection, tmp_path, aspect=aspect)
        cache = image_cache.load(tmp_path / "cache" / "images_32.npy")
        np.testing.assert_array_equal(cache[2], resize(film(77), size=32, aspect=aspect))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["images_32.npy"]


def test_folder_that_cannot_be_made(collection, tmp_path):
    (tmp_path / "file").write_text("in the way")
    index = read_index(collection, classes=CLASSES)
    with pytest.raises(DataError, match=r"images_32\.npy: cannot be written"):
        built(index, collection, tmp_path, folder=tmp_path / "file" / "x")


def test_load_cache_refuses_what_is_no_cache(tmp_path):
    path = tmp_path / "images_8.npy"
    with pytest.raises(DataError, match=r"images_8\.npy: found .*No such file"):
        image_cache.load(path)
    np.save(path, np.zeros((2, 8, 8), np.float32))
    with pytest.raises(
        DataError, match=r"found float32 \(2, 8, 8\), expected an \.npy file of uin"
    ):
        image_cache.load(path)
    np.save(path, np.zeros((2, 64), np.uint8))
    with pytest.raises(DataError, match=r"found uint8 \(2, 64\)"):
        image_cache.load(path)
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="object"):
        image_cache.load(path)
    np.save(path, np.zeros((2, 8, 8), np.uint8))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match="Prepare the data again"):
        image_cache.load(path)


def test_masks_are_cached_for_accepted_rows(collection, tmp_path):
    inside = np.zeros((40, 48), np.uint8)
    inside[10:30, 12:36] = 1
    index = read_index(collection, classes=CLASSES)
    (collection / "lungs.png").write_bytes(encoded(inside))
    (collection / "lungs255.png").write_bytes(encoded(inside * 255))
    (collection / index["file"][0]).unlink()
    index["lung_mask"] = ["lungs.png", "lungs255.png", ""] * 4
    settings = {"sizes": [24], "aspect": "letterbox", "folder": tmp_path / "cache"}
    manifest, _ = image_cache.build(index, collection, **settings)
    result = image_cache.build_masks(manifest, collection, **settings)

    expected = np.zeros((24, 24), bool)
    expected[2 + 5 : 2 + 15, 6:18] = True
    lungs = image_cache.load(tmp_path / "cache" / "lungs_24.npy")
    assert lungs.dtype == bool and len(lungs) == 11
    np.testing.assert_array_equal(lungs[0], expected)
    np.testing.assert_array_equal(lungs[2], expected)
    assert not lungs[1].any()
    assert result["has_lungs"].tolist() == [mask != "" for mask in index["lung_mask"][1:]]
    assert "has_lesion" not in result and not (tmp_path / "cache" / "lesion_24.npy").exists()


def test_wrong_masks_are_errors(collection, tmp_path):
    settings = {"sizes": [24], "aspect": "crop", "folder": tmp_path / "cache"}
    manifest, _ = image_cache.build(read_index(collection, classes=CLASSES), collection, **settings)
    (collection / "square.png").write_bytes(encoded(film(width=40)))
    with pytest.raises(DataError, match=r"square\.png: found a mask of 40x40 .* film, 48x40"):
        image_cache.build_masks(manifest.assign(lesion_mask="square.png"), collection, **settings)
    with pytest.raises(DataError, match=r"gone\.png: mask refused: missing"):
        image_cache.build_masks(manifest.assign(lesion_mask="gone.png"), collection, **settings)
    assert not (tmp_path / "cache" / "lesion_24.npy").exists()


def test_headers_of_dicom_fill_in_view_and_patient(collection, tmp_path):
    (collection / "normal" / "normal_0.png").write_bytes(dicom(film(50), PatientID="p1"))
    (collection / "normal" / "normal_1.png").write_bytes(dicom(film(51), PatientID="p1"))
    (collection / "normal" / "normal_2.png").write_bytes(dicom(film(52), ViewPosition="LL"))
    index = read_index(collection, classes=CLASSES)
    index.loc[1, ["patient_id", "patient_known"]] = ["known before", True]
    manifest, rejected = built(index, collection, tmp_path)
    assert manifest["view"].tolist() == ["PA", "PA", "LL", *[""] * 9] and rejected.empty
    assert manifest["patient_id"].tolist()[:4] == [
        "p1", "known before", "patient 7", "normal/normal_3.png",
    ]  # fmt: skip
    assert manifest["patient_known"].tolist() == [True] * 3 + [False] * 9
    manifest, rejected = built(index, collection, tmp_path, views=("PA", "AP"))
    assert rejected["file"].tolist() == ["normal/normal_2.png"]
    assert rejected["reason"].tolist() == ["another view (found LL; expected PA, AP)"]
    assert manifest["view"].tolist() == ["PA", "PA", *[""] * 9]
    told = index.assign(view=[""] * 11 + ["lateral"])
    _, rejected = built(told, collection, tmp_path, views=("PA", "LL"))
    assert rejected["reason"].tolist() == ["another view (found LATERAL; expected PA, LL)"]


def test_remarks_of_headers_are_a_column_where_there_are_any(collection, tmp_path):
    index = read_index(collection, classes=CLASSES)
    assert "remarks" not in built(index, collection, tmp_path)[0]
    content = dicom(film(50), BurnedInAnnotation="YES", RescaleSlope=2)
    (collection / "normal" / "normal_1.png").write_bytes(content)
    manifest, _ = built(index, collection, tmp_path)
    told = "burned-in annotation; RescaleSlope without RescaleIntercept, not applied"
    assert manifest["remarks"].tolist() == ["", told, *[""] * 10]


def test_films_with_text_burned_in_are_never_shown(collection, tmp_path):
    content = dicom(film(50), BurnedInAnnotation="YES")
    (collection / "normal" / "normal_1.png").write_bytes(content)
    index = read_index(collection, classes=CLASSES)
    with pytest.raises(DataError, match=r"1 of 12 films .* \('normal/normal_1\.png'\)") as refused:
        built(index, collection, tmp_path, shareable=True)
    assert "data.shareable=false" in str(refused.value)
    assert len(built(index, collection, tmp_path)[0]) == 12
    (collection / "normal" / "normal_1.png").unlink()
    index = read_index(collection, classes=CLASSES)
    assert len(built(index, collection, tmp_path, shareable=True)[0]) == 11


def test_rows_refused_by_the_index_are_listed_and_not_read(collection, tmp_path):
    (collection / "flu").mkdir()
    (collection / "flu" / "fifo.png").write_bytes(encoded(film(9)))
    index = read_index(collection, classes=CLASSES, other_labels="reject")
    manifest, rejected = built(index, collection, tmp_path)
    assert len(manifest) == 12 and "refused" not in manifest and "view" not in manifest
    assert rejected.to_numpy().tolist() == [
        ["flu/fifo.png", "flu", "no class of the study (found 'flu')"]
    ]


def test_measures_change_neither_table_nor_cache(collection, tmp_path):
    index = read_index(collection, classes=CLASSES)
    plain, measured = (
        built(index, collection, tmp_path, folder=tmp_path / name, measure=how)[0]
        for name, how in (("plain", None), ("measured", measure))
    )
    assert measured.drop(columns=list(COLUMNS)).equals(plain)
    assert measured["phash"].nunique() == 12 and set(measured["format"]) == {"PNG"}
    caches = [(tmp_path / name / "images_32.npy").read_bytes() for name in ("plain", "measured")]
    assert caches[0] == caches[1]


def test_masks_keep_the_rows_of_their_films_when_some_are_left_out(collection, tmp_path):
    index = read_index(collection, classes=CLASSES)
    for number in range(12):
        inside = np.zeros((40, 48), np.uint8)
        inside[:, number * 4 : number * 4 + 4] = 255
        (tmp_path / f"mask{number}.png").write_bytes(encoded(inside))
    settings = {"sizes": [48], "aspect": "squash", "folder": tmp_path / "cache"}
    manifest, _ = image_cache.build(index, collection, **settings)
    manifest["lung_mask"] = [f"mask{number}.png" for number in range(12)]
    kept = manifest.drop(index=[0, 5, 11]).reset_index(drop=True)
    result = image_cache.build_masks(kept, tmp_path, **settings)
    lungs = image_cache.load(tmp_path / "cache" / "lungs_48.npy")
    assert not lungs[[0, 5]].any() and len(result) == 9
    for row in kept["row"]:
        assert np.flatnonzero(lungs[row][0]).tolist() == list(range(row * 4, row * 4 + 4))
