"""Whatever lies in a data folder: a row of rejected films or an error in words, never a crash."""

import random
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from dicom_material import dicom
from hostile_material import HOSTILE, READABLE, reasons
from material import CLASSES, FRACTIONS, encoded, film, write_csv
from pydicom import uid

from lib.data import cache
from lib.data.audit import duplicates
from lib.data.audit.measures import measure
from lib.data.films import decode
from lib.data.films import dicom as dicom_reader
from lib.data.films.film import ImageRefused, eight_bit
from lib.data.index import read_index
from lib.data.splits import assign_splits, check_counts
from lib.study.errors import DataError


def test_every_film_is_read_or_rejected_with_its_reason(mixed, tmp_path):
    index = read_index(mixed, classes=CLASSES)
    assert len(index) == 12 + len(READABLE) + len(reasons())
    rows = [("file", "label"), *index[["file", "label"]].itertuples(index=False)]
    listed_too = read_index(write_csv(mixed / "films.csv", rows), classes=CLASSES)
    pd.testing.assert_frame_equal(listed_too, index)  # odd names and all
    manifest, rejected = cache.build(
        index, mixed, sizes=[32], aspect="letterbox", folder=tmp_path / "c", measure=measure
    )
    assert len(manifest) + len(rejected) == len(index)
    assert set(manifest["file"]) >= {f"covid19/{name}" for name in READABLE}
    found = dict(zip(rejected["file"], rejected["reason"], strict=True))
    for name, reason in reasons().items():
        assert found.pop(f"normal/{name}").startswith(reason), name
    assert not found
    rejected.to_csv(tmp_path / "rejected.csv", index=False)
    assert pd.read_csv(tmp_path / "rejected.csv")["file"].tolist() == rejected["file"].tolist()

    kept, dropped = duplicates.resolve(manifest)
    assert dropped.empty
    pairs = duplicates.find(kept, kept["phash"], distance=20)
    split = assign_splits(kept, fractions=FRACTIONS, seed=0, groups=duplicates.groups(kept, pairs))
    assert check_counts(split, classes=CLASSES)["images"].min() > 0


def test_unreadable_file_is_rejected(collection, tmp_path, monkeypatch):
    read = Path.read_bytes

    def denied(path):
        if path.name == "normal_3.png":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", denied)
    index = read_index(collection, classes=CLASSES)
    _, rejected = cache.build(
        index, collection, sizes=[32], aspect="crop", folder=tmp_path / "cache"
    )
    assert rejected["file"].tolist() == ["normal/normal_3.png"]
    assert rejected["reason"].tolist() == ["cannot be read (Permission denied)"]


def mutated(content, chance):
    """Cut, change, double or drop some bytes."""
    content = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        place = chance.randrange(len(content) + 1)
        length = chance.choice((1, 1, 2, 4, 16))
        kind = chance.randrange(4)
        if kind == 0:
            content[place : place + length] = chance.randbytes(length)
        elif kind == 1:
            content[place:place] = content[place : place + length]
        elif kind == 2:
            del content[place : place + length]
        else:
            value = chance.choice((0, 1, 255, 127, 128)) if place < len(content) else 0
            content[place : place + 1] = bytes([value])
        if not content:
            break
    return bytes(content)


SEEDS = [
    *(content for content in READABLE.values()),
    *(content for content, _ in HOSTILE.values() if content),
    dicom(film(), syntax=uid.DeflatedExplicitVRLittleEndian),
    dicom(film(), WindowCenter=100, WindowWidth=50, RescaleSlope=2, RescaleIntercept=-3),
    encoded(film(), "TIFF", compression="tiff_lzw"),
    cv2.imencode(".png", np.dstack([film().astype(np.uint16) * 200] * 3))[1].tobytes(),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("number", range(4))
def test_random_films_are_read_or_refused(number, monkeypatch):
    for module in (decode, dicom_reader):
        monkeypatch.setattr(module, "check_size", small_only)
    chance, seen = random.Random(number), {"read": 0, "refused": 0}
    for _ in range(400):
        content = mutated(chance.choice(SEEDS), chance)
        if chance.random() < 0.05:
            content = chance.choice((b"", b"II*\0", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))
            content += chance.randbytes(chance.randrange(300))
        try:
            grey = eight_bit(decode.decode(content).grey)
        except ImageRefused as refusal:
            assert str(refusal) and "\n" not in str(refusal)
            seen["refused"] += 1
            continue
        assert grey.dtype == np.uint8 and grey.ndim == 2 and min(grey.shape) >= 32
        seen["read"] += 1
    assert min(seen.values()) > 5


def small_only(width, height):
    """Headers that claim millions of pixels are legal and slow: not in a test of seconds."""
    if not (min(width, height) >= 32 and width * height < 10**6):
        raise ImageRefused("size")


FIELDS = (
    *("normal", "covid19", "", " ", "a.png", "../a.png", "/etc/passwd", "a.png/", ".", "x" * 300),
    *("a\nb.png", "a,b", '"', "\0", "nan", "train", "val", "1", "../../..", "C:\\a", "\ufeff"),
    "a/./b",
)
HEADERS = (
    *("file", "label", "image_id", "patient_id", "split", "view", "lung_mask", "Image Index"),
    *("Finding Labels", "Patient ID", "View Position", "", "refused", "row", "width"),
)


@pytest.mark.parametrize("number", range(3))
def test_random_manifests_are_read_or_refused(tmp_path, number):
    chance, seen = random.Random(number), {True: 0, False: 0}
    path = tmp_path / "m.csv"
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"no film")
    good = [["file", "label", "patient_id"], ["a.png", "normal", "1"], ["b.png", "covid19", "2"]]
    for _ in range(60):
        rows = [list(row) for row in good]
        for _ in range(chance.choice((0, 1, 1, 2, 4))):
            row = chance.choice(rows)
            names = HEADERS if row is rows[0] else FIELDS
            what = chance.randrange(4)
            if what == 0 and row:
                row[chance.randrange(len(row))] = chance.choice(names)
            elif what == 1:
                name, field = chance.choice(HEADERS), chance.choice(FIELDS)
                rows = [[*r, field if n else name] for n, r in enumerate(rows)]
            elif what == 2:
                rows.append(list(chance.choice(rows)))
            else:
                del row[-1:]
        write_csv(path, rows)
        if chance.random() < 0.2:
            path.write_bytes(mutated(path.read_bytes(), chance))
        seen[listed(path, tmp_path)] += 1
    assert min(seen.values()) > 5


def listed(path, root):
    """Whether a manifest was taken; whatever it lists must then be read or rejected, too."""
    for other_labels in ("error", "reject"):
        try:
            index = read_index(path, classes=CLASSES, other_labels=other_labels)
        except DataError as error:
            assert len(str(error)) > 20
            taken = False
            continue
        taken = True
        assert index["image_id"].is_unique and index["file"].is_unique
        with pytest.raises(DataError, match=r"none of .* files could be read"):
            cache.build(index, root, sizes=[8], aspect="crop", folder=root / "cache")
    return taken
