"""Known answers for the thumbnail probe and the summary of a collection."""

import json

import numpy as np
import pandas as pd
import pytest
from material import CLASSES, FRACTIONS, cohort

from lib import image_cache
from lib.audit import possible_folds, summarise, thumbnail_probe
from lib.collection import DataError
from lib.data import read_index
from lib.splits import assign_splits


def probe_material(shift, count=240):
    random = np.random.default_rng(5)
    labels = np.array(["a", "b", "c"])[np.arange(count) % 3]
    images = random.integers(60, 120, (count, 64, 64))
    images[labels == "a", :32] += shift
    images[labels == "b", 32:] += shift
    return images.astype(np.uint8), labels, np.arange(count).astype(str)


def test_probe_finds_what_is_there_and_nothing_else():
    found = thumbnail_probe(*probe_material(shift=60), side=16, seed=0)
    assert found["balanced_accuracy"] == 1 and found["sd"] == 0
    assert (found["chance"], found["folds"], found["side"], found["features"]) == (
        1 / 3,
        5,
        16,
        256,
    )
    nothing = thumbnail_probe(*probe_material(shift=0), side=16, seed=0)
    assert abs(nothing["balanced_accuracy"] - 1 / 3) < 0.1


def test_probe_does_not_recognise_patients():
    random = np.random.default_rng(0)
    faces = random.integers(0, 256, (40, 32, 32)).astype(np.uint8)
    patients = np.repeat(np.arange(40), 5)
    labels = np.where(np.arange(40) % 2, "a", "b")[patients]
    probe = thumbnail_probe(faces[patients], labels, patients.astype(str), seed=0)
    assert probe["balanced_accuracy"] < 0.75  # 1.0 if films of one patient were on both sides


def test_possible_folds_follow_the_smallest_class():
    index = cohort(30)
    assert possible_folds(index) == 5 and possible_folds(index, most=20) == 10
    assert possible_folds(cohort(9)) == 3


def test_probe_errors():
    images, labels, patients = probe_material(0, count=12)
    with pytest.raises(DataError, match=r"folds: found 5 for patients by class \{'a': 4"):
        thumbnail_probe(images, labels, patients, seed=0)
    with pytest.raises(DataError, match=r"found \[12, 11, 12\], expected equal numbers"):
        thumbnail_probe(images, labels[1:], patients, seed=0)


def test_summary_counts_duplicates_and_findings():
    manifest = pd.DataFrame(
        {
            "file": ["1", "2", "3", "4", "5", "6"],
            "label": ["n", "n", "n", "t", "t", "t"],
            "split": ["train", "test", "train", "train", "train", "test"],
            "patient_id": ["p", "q", "p", "4", "5", "6"],
            "patient_known": [True, True, True, False, False, False],
            "sha256": ["x", "x", "y", "y", "z", "w"],
            "width": [100, 100, 100, 150, 150, 300],
            "height": [100, 100, 100, 100, 100, 100],
        }
    )
    rejected = pd.DataFrame(
        {
            "file": ["7", "8"],
            "label": ["n", "n"],
            "reason": ["truncated", "not a PNG or JPEG file (found GIF)"],
        }
    )
    probe = {"balanced_accuracy": 0.9, "sd": 0.1, "chance": 0.5, "folds": 5, "side": 32}
    audit = summarise(manifest, rejected, probe)
    assert json.loads(json.dumps(audit)) == audit
    assert audit["images"] == {"n": {"test": 1, "train": 2}, "t": {"test": 1, "train": 2}}
    assert audit["patients"] == {"n": 2, "t": 3}
    assert audit["patients_unknown"] == {"n": 0, "t": 3}
    assert audit["rejected"] == {"truncated": 1, "not a PNG or JPEG file": 1}
    assert audit["duplicates"] == {
        "copies": 2,
        "across_splits": 1,
        "across_classes": 1,
        "pairs": [["1", "2"], ["3", "4"]],
    }
    assert audit["aspect_ratio"] == {"n": 1.0, "t": 1.5}
    assert [f["severity"] for f in audit["findings"]] == ["warning"] * 6
    texts = [f["text"] for f in audit["findings"]]
    for text, start in zip(
        texts,
        [
            "A linear model on thumbnails of 32 pixels reaches a balanced accuracy of 0.90 where",
            "The median ratio of width to height differs (1.00 in n, 1.50 in t)",
            "1 exact duplicates across splits.",
            "1 exact duplicates across classes.",
            "No patient ids for class t (3 of 3 images)",
            "2 of 5 files of n rejected.",
        ],
        strict=True,
    ):
        assert text.startswith(start)


def test_summary_of_a_clean_collection_has_no_warning(collection, tmp_path):
    index = read_index(collection, classes=CLASSES)
    manifest, rejected = image_cache.build(
        index, collection, sizes=[32], aspect="crop", folder=tmp_path / "cache"
    )
    manifest = assign_splits(manifest, fractions=FRACTIONS, seed=0).assign(patient_known=True)
    probe = {"balanced_accuracy": 0.55, "sd": 0.1, "chance": 0.5, "folds": 5, "side": 32}
    audit = summarise(manifest, rejected, probe)
    assert [f["severity"] for f in audit["findings"]] == ["note"]
    assert audit["rejected"] == {} and audit["duplicates"]["copies"] == 0
