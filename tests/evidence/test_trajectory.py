"""Drift epoch by epoch, from maps whose distance, lesion and accuracy are known."""

import maps_material
import numpy as np
import pandas as pd
import pytest

from lib.evidence import trajectory
from lib.figures import evidence as figures
from lib.study.paths import StudyPaths
from lib.study.schema import TABLES, check

NAMES = ("a", "b")
KEY = ("post_activation", "layercam")
PLACE = {"role": KEY[0], "method": KEY[1]}
LABELS = np.array([0, 0, 1, 1])
LESIONS = np.zeros((4, 10, 10), bool)
LESIONS[:, 5:, :] = True  # the lower half of the film


def turned(angle):
    """Two cells, above and below; the share that lies below grows with the angle."""
    return np.tile([[np.cos(angle)], [np.sin(angle)]], (4, 1, 1)).reshape(4, 2, 1)


def map_set(maps, *, wrong=()):
    return maps_material.map_set({KEY: maps.astype(np.float32)}, labels=LABELS, wrong=wrong)


ANGLES = (np.pi / 6, np.pi / 3, np.pi / 3)


@pytest.fixture
def table(tmp_path):
    """Epoch 2 of 3 was kept; the first films is misread at the start and after epoch 1."""
    for epoch, angle in enumerate(ANGLES, start=1):
        maps = turned(angle)
        if epoch == 3:
            maps[3] = 0
        map_set(maps, wrong=[0] if epoch == 1 else []).save(tmp_path / f"epoch-{epoch:03d}.npz")
    (tmp_path / ".partial-1-epoch-004.npz").write_bytes(b"half")  # of a killed run
    start = map_set(turned(0), wrong=[0, 1])
    return trajectory.trajectory_table(start, tmp_path, kept=2, classes=NAMES, lesions=LESIONS)


def test_drift_evidence_and_accuracy_of_every_epoch(table):
    assert table["epoch"].tolist() == [0, 1, 2, 3]
    assert table["films"].tolist() == [2] * 4, "the films that both ends classify correctly"
    assert table["blank"].tolist() == [0, 0, 0, 1]
    expected = [0, *(2 - 2 * np.cos(angle) for angle in ANGLES)]
    np.testing.assert_allclose(table["unit_distance"], expected, atol=1e-6)
    share = [np.sin(a) / (np.sin(a) + np.cos(a)) for a in (0, *ANGLES)]
    np.testing.assert_allclose(table["lesion_mass"], share, atol=1e-6)
    assert table["balanced_accuracy"].tolist() == [0.5, 0.75, 1, 1]
    assert table["kept"].tolist() == [False, False, True, False]


def test_without_a_film_that_both_ends_get_right_there_is_accuracy_and_no_drift(tmp_path):
    map_set(turned(0.4), wrong=[0, 1]).save(tmp_path / "epoch-001.npz")
    start = map_set(turned(0), wrong=[2, 3])
    table = trajectory.trajectory_table(start, tmp_path, kept=1, classes=NAMES, lesions=LESIONS)
    assert table["films"].tolist() == [0, 0] and table["balanced_accuracy"].tolist() == [0.5, 0.5]
    assert table[["unit_distance", "iou_top20", "lesion_mass"]].isna().all(axis=None)
    (sentence,) = trajectory.sentences(table.assign(architecture="resnet50v2"), **PLACE)
    assert "no drift, or no gain" in sentence


def test_shares_and_sentences_say_what_came_first(table):
    told = trajectory.shares(table.assign(architecture="resnet50v2"))
    whole = 2 - 2 * np.cos(ANGLES[1])
    np.testing.assert_allclose(told["drift"], table["unit_distance"] / whole)
    np.testing.assert_allclose(told["gain"], [0, 0.5, 1, 1])
    (sentence,) = trajectory.sentences(table.assign(architecture="resnet50v2"), **PLACE)
    assert sentence == (
        "ResNet50V2, kept epoch 2: half of the drift by epoch 2, half of the gain in balanced "
        "accuracy by epoch 1; after epoch 3 the drift is 1.00 of it."
    )
    still = table.assign(architecture="resnet50v2", unit_distance=0.0)
    (sentence,) = trajectory.sentences(still, **PLACE)
    assert sentence == "ResNet50V2: no drift, or no gain, to follow up to epoch 2."


def test_a_study_gathers_the_architectures_that_were_followed(tmp_path):
    paths = StudyPaths(tmp_path, "s")
    folder = paths.epochs("resnet50v2", "finetune-s0", kind="maps")
    map_set(turned(0.4)).save(folder / "epoch-001.npz")
    of = {"transfer-s0": map_set(turned(0))}
    history = pd.DataFrame(
        {"architecture": ["resnet50v2"], "checkpoint": "finetune-s0", "epoch": 1, "kept": True}
    )
    sets, masks = {"resnet50v2": of, "densenet201": of}, {"resnet50v2": {"lesion": None}}
    options = {"transfer": "transfer-s0", "classes": NAMES}
    table = trajectory.of_study(paths, sets, masks, history, followed="finetune-s0", **options)
    check("trajectory", table)
    assert table["architecture"].tolist() == ["resnet50v2"] * 2
    assert table["lesion_mass"].isna().all()
    none = trajectory.of_study(paths, sets, masks, history, followed="", **options)
    assert none.empty and list(none) == TABLES["trajectory"].columns
    assert trajectory.sentences(none, **PLACE) == []


def test_the_figure_draws_every_epoch_and_marks_the_kept_one(table):
    figure = figures.trajectory(table.assign(architecture="resnet50v2"), **PLACE)
    for ax, quantity in zip(
        figure.axes, ("unit_distance", "lesion_mass", "balanced_accuracy"), strict=False
    ):
        line, mark = ax.lines
        np.testing.assert_allclose(line.get_ydata(), table[quantity])
        assert mark.get_xdata().tolist() == [2]
    np.testing.assert_allclose(figure.axes[3].lines[0].get_ydata(), [0, 0, 0, 0.5])
