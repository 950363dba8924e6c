"""Known answers for films that occur more than once."""

import tracemalloc

import cv2
import numpy as np
import pandas as pd
import pytest
from material import FRACTIONS, drawn, encoded

from lib.data import cache
from lib.data.audit import duplicates
from lib.data.audit.duplicates import find, groups, neighbours, perceptual_hash, resolve
from lib.data.audit.measures import measure
from lib.data.index import read_index
from lib.data.splits import assign_splits
from lib.study.errors import DataError


def hexes(bits):
    return [row.tobytes().hex() for row in np.packbits(bits.astype(np.uint8), axis=1)]


def flipped(bits, count, random):
    result = bits.copy()
    for row in result:
        where = random.choice(256, count, replace=False)
        row[where] = ~row[where]
    return result


def brute_force(hashes, distance):
    codes = np.array([list(bytes.fromhex(code)) for code in hashes], np.uint8)
    bits = np.unpackbits(codes, axis=1).astype(int)
    apart = bits @ (1 - bits).T + (1 - bits) @ bits.T
    first, second = np.nonzero(np.triu(apart <= distance, 1))
    return {(i, j, apart[i, j]) for i, j in zip(first, second, strict=True)}


def listed(table):
    return set(table[["first", "second", "bits"]].itertuples(index=False, name=None))


@pytest.mark.parametrize("distance", [0, 1, 2, 7, 20, 21, 33, 48])
@pytest.mark.parametrize("spread", [0.5, 0.03])
def test_search_finds_what_comparing_all_finds(distance, spread):
    """With a spread of 0.03 most bits are the same in all, as in pictures of one kind."""
    random = np.random.default_rng(distance)
    base = random.random((60, 256)) < spread
    wanted = [
        flipped(base, count, random) for count in (1, 2, distance // 2, distance, distance + 1)
    ]
    bits = np.unique(np.vstack([base, *wanted]), axis=0)
    hashes = hexes(random.permutation(bits))
    assert listed(neighbours(hashes, distance=distance)) == brute_force(hashes, distance)


@pytest.mark.parametrize("block", [(1, 1), (3, 5), (200, 7)])
def test_pairs_across_the_borders_of_blocks(monkeypatch, block):
    random = np.random.default_rng(4)
    base = random.random((30, 256)) < 0.5
    hashes = hexes(random.permutation(np.vstack([base, flipped(base, 9, random), ~base])))
    monkeypatch.setattr(duplicates, "BLOCK", block)
    found = listed(neighbours(hashes, distance=9))
    assert found == brute_force(hashes, 9) and len(found) == 30  # all 256 bits are not none


def test_equal_hashes_are_paired_with_their_first():
    random = np.random.default_rng(0)
    one = random.random((1, 256)) < 0.5
    other = flipped(one, 3, random)
    far = ~one
    hashes = hexes(np.vstack([far, one, one, other, one, far]))
    expected = {(1, 2, 0), (1, 4, 0), (1, 3, 3), (0, 5, 0)}
    assert listed(neighbours(hashes, distance=5)) == expected
    assert neighbours(hexes(np.repeat(one, 50_000, axis=0)), distance=20)["first"].eq(0).all()
    assert neighbours([], distance=5).empty


def test_search_holds_no_table_of_all_pairs():
    hashes = hexes(np.random.default_rng(1).random((8000, 256)) < 0.5)
    tracemalloc.start()
    assert neighbours(hashes, distance=20).empty
    assert tracemalloc.get_traced_memory()[1] < 12e6  # of all pairs, a byte each: 64e6
    tracemalloc.stop()


def bits_apart(one, other):
    return (int(perceptual_hash(one), 16) ^ int(perceptual_hash(other), 16)).bit_count()


def test_saving_resizing_and_exposure_hardly_move_the_hash():
    image = drawn("normal", 1, size=256).image
    jpeg = cv2.imdecode(np.frombuffer(encoded(image, "JPEG", quality=40), np.uint8), 0)
    small = cv2.resize(image, (190, 190), interpolation=cv2.INTER_AREA)
    wide = cv2.resize(image, (400, 256))
    darker = np.rint(255 * (image / 255.0) ** 1.25).astype(np.uint8)
    assert max(bits_apart(image, other) for other in (jpeg, small, wide, darker)) <= 20
    others = [drawn("normal", patient, size=256).image for patient in range(2, 8)]
    assert min(bits_apart(image, other) for other in others) > 40


def films(rows):
    columns = ["file", "label", "patient_id", "sha256", "split"]
    return pd.DataFrame(rows, columns=columns)


COPIES = films(
    [
        ("a", "n", "p2", "x", "train"),
        ("b", "n", "p1", "x", "test"),
        ("c", "t", "p3", "y", "train"),
        ("d", "t", "p1", "z", "train"),
        ("e", "n", "p4", "y", "train"),
        ("f", "n", "p5", "w", "test"),
    ]
)


def test_pairs_and_groups():
    random = np.random.default_rng(3)
    bits = random.random((6, 256)) < 0.5
    bits[1], bits[4] = bits[0], bits[2]
    bits[5] = flipped(bits[3:4], 9, random)[0]
    pairs = find(COPIES, hexes(bits), distance=10)
    assert pairs.to_dict("list") == {
        "first": [0, 2, 3], "second": [1, 4, 5], "bits": [0, 0, 9],
        "identical": [True, True, False],
    }  # fmt: skip
    # p1 has films b = a of p2 and d ~ f of p5; c = e joins p3 and p4.
    assert groups(COPIES, pairs).tolist() == ["p1", "p1", "p3", "p1", "p3", "p1"]
    assert groups(COPIES, pairs[:0]).tolist() == COPIES["patient_id"].tolist()
    leaks = duplicates.across(COPIES, pairs, "split")
    assert leaks[["file", "other_file", "bits"]].to_numpy().tolist() == [
        ["a", "b", 0],
        ["d", "f", 9],
    ]
    mixed = duplicates.across(COPIES, pairs, "label")
    assert mixed[["file", "other_label"]].to_numpy().tolist() == [["c", "n"], ["d", "n"]]


def test_equal_bytes_are_paired_whatever_their_hash():
    hashes = hexes(np.random.default_rng(0).random((6, 256)) < 0.5)
    pairs = find(COPIES, hashes, distance=0)
    assert pairs[["first", "second"]].to_numpy().tolist() == [[0, 1], [2, 4]]


def test_one_film_of_two_labels_is_an_error_by_default():
    with pytest.raises(
        DataError, match=r"same film in two classes: 'c = e'; .*labels=drop"
    ) as caught:
        resolve(COPIES)
    assert "keep" in str(caught.value)
    kept, dropped = resolve(COPIES, conflicting="keep")
    assert kept.equals(COPIES) and dropped.empty
    kept, dropped = resolve(COPIES, conflicting="drop")
    assert kept["file"].tolist() == ["a", "b", "d", "f"]
    assert dropped.to_numpy().tolist() == [
        ["c", "t", "film with two labels"], ["e", "n", "film with two labels"],
    ]  # fmt: skip
    kept, dropped = resolve(COPIES, conflicting="keep", copies="drop")
    assert dropped.to_numpy().tolist() == [["b", "n", "copy of another film of its class"]]


def test_a_film_saved_again_is_kept_in_one_split(tmp_path):
    """From files to splits: a JPEG, half the size, of a film of another patient id."""
    rows = [("file", "label", "patient_id", "split")]
    for number in range(18):
        label = ("normal", "tuberculosis")[number % 2]
        image = drawn(label, number, size=128).image
        if number == 17:
            image = cv2.resize(drawn(label, 1, size=128).image, (64, 64), interpolation=3)
        kind = "JPEG" if number == 17 else "PNG"
        (tmp_path / f"{number}").write_bytes(encoded(image, kind))
        split = ("train", "validation", "test")[number // 2 % 3]
        rows.append((str(number), label, f"p{number}", split))
    (tmp_path / "m.csv").write_text("\n".join(",".join(row) for row in rows))
    index = read_index(tmp_path / "m.csv", classes=["normal", "tuberculosis"])
    manifest, _ = cache.build(
        index, tmp_path, sizes=[32], aspect="crop", folder=tmp_path / "cache", measure=measure
    )
    pairs = find(manifest, manifest["phash"], distance=20)
    assert pairs[["first", "second", "identical"]].to_numpy().tolist() == [[1, 17, False]]
    settings = {"fractions": FRACTIONS, "seed": 0, "groups": groups(manifest, pairs)}
    kept = assign_splits(manifest, **settings)
    assert kept["split"][[1, 17]].tolist() == ["train", "test"]
    leaks = duplicates.across(kept, pairs, "split")
    assert leaks[["file", "other_file"]].to_numpy().tolist() == [["1", "17"]]
    with pytest.raises(DataError, match=r"groups of near-duplicates in two splits: 'that of 1'"):
        assign_splits(manifest, **settings, leakage="error")
    for leakage in ("repair", "redraw"):
        mended = assign_splits(manifest, **settings, leakage=leakage)
        assert duplicates.across(mended, pairs, "split").empty
    assert mended["split"].nunique() == 3
