"""Known answers for the linear probes."""

import numpy as np
import pandas as pd
import pytest
from material import cohort

from lib.data.audit.measures import NUMBERS
from lib.data.audit.probes import (
    all_probes,
    border_features,
    metadata_features,
    possible_folds,
    thumbnail_probe,
)
from lib.study.errors import DataError


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
    assert possible_folds(cohort(30)) == 5 and possible_folds(cohort(9)) == 3


def test_probe_errors():
    images, labels, patients = probe_material(0, count=12)
    with pytest.raises(DataError, match=r"folds: found 5 for patients by class \{'a': 4"):
        thumbnail_probe(images, labels, patients, seed=0)


def facts(count=240):
    """A collection in which nothing but chance tells the classes apart."""
    random = np.random.default_rng(1)
    labels = np.array(["a", "b", "c"])[np.arange(count) % 3]
    manifest = pd.DataFrame({"label": labels, "patient_id": np.arange(count).astype(str)})
    manifest["width"], manifest["height"] = random.integers(300, 900, (2, count))
    measures = pd.DataFrame(random.normal(size=(count, len(NUMBERS))), columns=list(NUMBERS))
    measures = measures.assign(format="PNG", bits=8, colour=False, bytes=manifest["width"] * 400)
    return manifest, measures, random.integers(0, 256, (count, 32, 32)).astype(np.uint8)


def scores(manifest, measures, images):
    found = all_probes(manifest, measures, images, folds=4, seed=0)
    return {name: probe["balanced_accuracy"] for name, probe in found.items()}


def test_each_probe_sees_its_own_and_nothing_else():
    manifest, measures, images = facts()
    for name, score in scores(manifest, measures, images).items():
        assert abs(score - 1 / 3) < 0.12, name

    wide = manifest.assign(width=manifest["height"] * (1 + (manifest["label"] == "a")))
    found = scores(wide, measures, images)
    assert found["trivial"] > 0.6 and found["trivial_without_shape"] < 0.45

    framed = images.copy()
    framed[manifest["label"] == "b", 0] = 255
    found = scores(manifest, measures, framed)
    assert found["border"] > 0.6 and found["trivial"] < 0.45

    saved = measures.assign(format=np.where(manifest["label"] == "c", "JPEG", "PNG"))
    found = scores(manifest, saved, images)
    assert found["metadata"] > 0.6 and found["border"] < 0.45

    sharp = measures.assign(blur=np.where(manifest["label"] == "c", 3.0, 1.0))
    found = scores(manifest, sharp, images)
    assert min(found["trivial"], found["trivial_without_shape"]) > 0.6


def test_groups_stay_in_one_fold():
    manifest, measures, images = facts(120)
    faces = np.repeat(images[:40], 3, axis=0)
    manifest["label"] = np.repeat(np.where(np.arange(40) % 2, "a", "b"), 3)
    groups = np.repeat(np.arange(40).astype(str), 3)
    found = all_probes(manifest, measures, faces, groups=groups, folds=4, seed=0)
    assert found["thumbnail_16"]["balanced_accuracy"] < 0.75  # 1.0 with each film a group


def test_border_is_the_frame():
    small = np.zeros((2, 32, 32), np.float32)
    small[:, 2:-2, 2:-2] = 7
    assert border_features(small).shape == (2, 32 * 32 - 28 * 28)
    assert not border_features(small).any()


def test_metadata_of_words_and_numbers():
    manifest, measures, _ = facts(6)
    manifest = manifest.assign(
        view=["PA", "AP ", "pa", "", "AP", "PA"], age=["10", "", "30", "x", "50", "20"]
    )
    features = metadata_features(manifest, measures)
    # Density, age, one column each of format, bits and colour, and "", AP, PA.
    assert features.shape == (6, 8)
    assert features[:, 1].tolist() == [10, 25, 30, 25, 50, 20]
    assert features[:, -3:].tolist() == [
        [0, 0, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1],
    ]  # fmt: skip
    assert set(features[:, 2:5].ravel()) == {1.0}
