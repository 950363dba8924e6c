"""Known answers about the synthetic radiographs and the list of a study's images."""

import cv2
import numpy as np
import pandas as pd
import pytest
from material import drawn

from lib.data.phantoms import draw
from lib.study.data_params import PhantomData

DISEASES = draw.CLASSES[1:]
PATIENTS = range(40)


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


def test_images_of_a_patient_differ_but_share_the_anatomy(monkeypatch):
    monkeypatch.setitem(draw.IMAGE_RANGES, "rotation_degrees", (0, 0))  # `framed` cannot undo it
    own, foreign = [], []
    for patient in range(10):
        first, second, other = (
            draw.draw("normal", patient_seed=seed, image_seed=image, size=128)
            for seed, image in ((patient, 0), (patient, 1), (patient + 1, 1))
        )
        assert (first.image != second.image).mean() > 0.5
        own.append(overlap(framed(first.lungs), framed(second.lungs)))
        foreign.append(overlap(framed(first.lungs), framed(other.lungs)))
    assert min(own) > 0.7 and np.mean(own) > np.mean(foreign) + 0.02


def framed(mask):
    """The box around a mask at one size: every image is positioned anew on its film."""
    rows, columns = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return cv2.resize(box.astype(np.uint8), (64, 64), interpolation=cv2.INTER_AREA) > 0


def test_lesion_stays_at_its_place_between_images_of_a_patient():
    def place(radiograph):
        # In the frame of the lungs, because every image is positioned anew on its film.
        inside = np.argwhere(radiograph.lungs)
        first, last = inside.min(axis=0), inside.max(axis=0)
        return (np.argwhere(radiograph.lesion).mean(axis=0) - first) / (last - first)

    moved = [
        np.linalg.norm(
            np.subtract(*(place(drawn("bacterial_pneumonia", p, image=i)) for i in (0, 1)))
        )
        for p in range(10)
    ]
    assert max(moved) < 0.10


@pytest.mark.parametrize("label", DISEASES)
def test_nothing_outside_the_lungs_depends_on_the_label(label):
    for patient in range(5):
        healthy, ill = drawn("normal", patient, size=256), drawn(label, patient, size=256)
        np.testing.assert_array_equal(healthy.lungs, ill.lungs)
        near = cv2.dilate(healthy.lungs.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
        np.testing.assert_array_equal(healthy.image[~near], ill.image[~near])


@pytest.mark.parametrize("label", ["bacterial_pneumonia", "covid19", "tuberculosis"])
def test_lung_away_from_a_focal_lesion_hardly_changes(label):
    for patient in range(5):
        healthy, ill = drawn("normal", patient, size=256), drawn(label, patient, size=256)
        near = cv2.dilate(ill.lesion.astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
        far = ill.lungs & ~near
        change = np.abs(ill.image[far].astype(int) - healthy.image[far])
        assert far.any() and change.mean() < 3


def test_size_changes_the_sampling_only():
    for patient in range(3):
        small, large = drawn("covid19", patient), drawn("covid19", patient, size=256)
        # A lesion is small, so more of it is edge, where sampling decides.
        for name, least in (("lungs", 0.95), ("lesion", 0.85)):
            coarse = cv2.resize(
                getattr(large, name).astype(np.float32), (128, 128), interpolation=cv2.INTER_AREA
            )
            assert overlap(getattr(small, name), coarse > 0.5) > least
        shrunk = cv2.resize(large.image, (128, 128), interpolation=cv2.INTER_AREA).astype(float)
        assert np.abs(small.image - shrunk).mean() < 6


def test_lungs_are_two_dark_fields_of_plausible_size():
    for patient in PATIENTS:
        radiograph = drawn("normal", patient)
        _, _, boxes, _ = cv2.connectedComponentsWithStats(radiograph.lungs.astype(np.uint8))
        assert (boxes[1:, cv2.CC_STAT_AREA] > 0.03 * 128**2).sum() == 2
        assert 0.15 < radiograph.lungs.mean() < 0.45
        middle = radiograph.image[40:110, 54:74]  # spine and heart
        assert radiograph.image[radiograph.lungs].mean() < middle.mean() - 20


def test_normal_has_no_lesion_and_disease_has_one_within_the_lungs():
    for patient in PATIENTS:
        assert not drawn("normal", patient).lesion.any()
        for label in DISEASES:
            radiograph = drawn(label, patient)
            assert radiograph.lesion.sum() >= 20, (label, patient)
            assert not (radiograph.lesion & ~radiograph.lungs).any()


@pytest.mark.parametrize("label", DISEASES)
def test_lesion_is_denser_than_the_same_lung_in_health_and_grows_with_conspicuity(label):
    levels = (0.25, 0.5, 1.0, 2.0)
    contrast = np.array(
        [
            [
                (drawn(label, p, conspicuity=c).image.astype(float) - drawn("normal", p).image)[
                    drawn(label, p).lesion
                ].mean()
                for c in levels
            ]
            for p in range(12)
        ]
    )
    assert (np.diff(contrast, axis=1) > 0).all()
    assert contrast[:, levels.index(1.0)].mean() > 5


@pytest.mark.parametrize("label", DISEASES)
def test_conspicuity_leaves_the_masks_alone(label):
    faint, strong = drawn(label, 2, conspicuity=0.25), drawn(label, 2, conspicuity=2.0)
    np.testing.assert_array_equal(faint.lesion, strong.lesion)


def test_marker_changes_one_upper_corner_outside_the_lungs():
    corners = set()
    for patient in range(12):
        without, given = drawn("covid19", patient), drawn("covid19", patient, marker=True)
        assert not without.marker.any()
        rows, columns = (without.image != given.image).nonzero()
        inside = given.marker[rows, columns]
        assert inside.mean() > 0.7 and 0.001 < given.marker.mean() < 0.01
        corners.add("left" if columns.mean() < 64 else "right")
        assert len(rows) > 10 and rows.max() < 0.2 * 128
        assert columns.max() < 0.2 * 128 or columns.min() > 0.8 * 128
        assert not given.lungs[rows, columns].any()
        assert given.image[rows, columns].max() > 230
    assert corners == {"left", "right"}


def listed(seed, classes=draw.CLASSES, **params):
    return draw.cohort(PhantomData(**params), seed=seed, classes=classes)


def test_cohort_lists_each_image_once_in_a_fixed_order():
    table = listed(5, patients_per_class=8)
    pd.testing.assert_frame_equal(table, listed(5, patients_per_class=8))
    assert list(table) == [
        "image_id", "label", "patient_id", "patient_seed", "image_seed", "marker",
    ]  # fmt: skip
    assert table.image_id.is_unique and table.marker.dtype == bool
    assert table.image_id[0] == "normal-0000-0"
    assert (table.image_id.str.rsplit("-", n=1).str[0] == table.patient_id).all()
    assert list(table.label.unique()) == list(draw.CLASSES)
    assert table.groupby("label").patient_id.nunique().eq(8).all()
    assert table.groupby("patient_id").patient_seed.nunique().eq(1).all()
    assert table.patient_seed.nunique() == 40
    assert not table.duplicated(["patient_seed", "image_seed"]).any()
    other = listed(6, patients_per_class=8)
    assert set(table.patient_seed).isdisjoint(other.patient_seed)


def test_cohort_keeps_patients_when_it_grows_or_loses_classes():
    large = listed(1, patients_per_class=6)
    small = listed(1, ("covid19", "tuberculosis"), patients_per_class=3)
    merged = small.merge(large, on=["image_id", "label", "patient_seed", "image_seed", "marker"])
    assert len(merged) == len(small)


def test_cohort_draws_the_number_of_images_uniformly_from_the_inclusive_range():
    table = listed(2, patients_per_class=300, images_per_patient=(2, 4))
    counts = table.groupby("patient_id").size().value_counts(normalize=True)
    assert sorted(counts.index) == [2, 3, 4]
    assert counts.between(1 / 3 - 0.05, 1 / 3 + 0.05).all()  # four standard errors at 1500
    single = listed(2, patients_per_class=4, images_per_patient=(1, 1))
    assert len(single) == 20


@pytest.mark.parametrize(
    ("shortcut", "inside", "elsewhere"), [(0, 0.5, 0.5), (0.5, 0.75, 0.25), (1, 1, 0)]
)
def test_marker_follows_the_shortcut_with_the_stated_probability(shortcut, inside, elsewhere):
    how = {"shortcut": shortcut, "shortcut_class": "tuberculosis"}
    table = listed(3, patients_per_class=500, **how)
    betrayed = table.label == "tuberculosis"
    for rows, expected in ((betrayed, inside), (~betrayed, elsewhere)):
        error = np.sqrt(expected * (1 - expected) / rows.sum())
        assert abs(table.marker[rows].mean() - expected) <= 4 * error
