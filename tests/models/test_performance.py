"""Performance from logits, against cases counted by hand and against scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from lib.models import performance

NAMES = ("a", "b", "c")
# Six films: argmax gives 0, 0, 1, 0, 2, 0 for the true classes 0, 0, 1, 1, 2, 2.
LABELS = np.array([0, 0, 1, 1, 2, 2])
PROBABILITIES = np.array(
    [
        [0.8, 0.1, 0.1],
        [0.6, 0.3, 0.1],
        [0.2, 0.5, 0.3],
        [0.7, 0.2, 0.1],
        [0.1, 0.4, 0.5],
        [0.5, 0.3, 0.2],
    ]
)
LOGITS = np.log(PROBABILITIES)


def test_six_films_by_hand():
    found = performance.scores(LOGITS, LABELS, classes=NAMES)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["balanced_accuracy"] == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    # One minus the share of wrongly ordered pairs (positive film, other film), ties half:
    # a: 0.8 and 0.6 against 0.2 0.7 0.1 0.5: only 0.6 < 0.7.  c: 0.5 and 0.2 against 0.1 0.1 0.3
    # 0.1: only 0.2 < 0.3.  b: 0.5 and 0.2 against 0.1 0.3 0.4 0.3: 0.2 is below three.
    areas = {"auc_a": 7 / 8, "auc_b": 5 / 8, "auc_c": 7 / 8}
    assert {name: found[name] for name in areas} == pytest.approx(areas)
    assert found["macro_auc"] == pytest.approx(19 / 24)
    assert found["loss"] == pytest.approx(-np.log(0.8 * 0.6 * 0.5 * 0.2 * 0.5 * 0.2) / 6)


def test_a_constant_added_to_the_logits_of_a_film_changes_nothing():
    offsets = np.array([[0], [1000], [-1000], [5], [300], [-7]])
    found = performance.scores(LOGITS + offsets, LABELS, classes=NAMES)
    assert found == pytest.approx(performance.scores(LOGITS, LABELS, classes=NAMES))


def test_scores_agree_with_scikit_learn():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 200)
    logits = generator.normal(size=(200, 4)) + np.eye(4)[labels]
    found = performance.scores(logits, labels, classes="wxyz")
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    area = roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    assert found["macro_auc"] == pytest.approx(area, abs=1e-12)
    assert found["loss"] == pytest.approx(log_loss(labels, probabilities), abs=1e-12)
    recall = [(logits[labels == c].argmax(axis=1) == c).mean() for c in range(4)]
    assert found["balanced_accuracy"] == pytest.approx(np.mean(recall), abs=1e-12)


@pytest.mark.filterwarnings("ignore:A single label was found")
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_the_area_of_an_absent_class_is_missing_and_not_a_number():
    found = performance.scores(LOGITS[:4], LABELS[:4], classes=NAMES)
    assert np.isnan(found["auc_c"]) and np.isnan(found["macro_auc"])
    assert found["auc_a"] == pytest.approx(3 / 4) and found["accuracy"] == pytest.approx(3 / 4)
    alone = performance.scores(LOGITS[:2], LABELS[:2], classes=NAMES)
    assert all(np.isnan(alone[f"auc_{name}"]) for name in NAMES) and alone["accuracy"] == 1


def test_shapes_that_disagree_are_refused():
    with pytest.raises(ValueError, match=r"shape \(6, 3\), expected \(6, 2\) \(labels × classes\)"):
        performance.scores(LOGITS, LABELS, classes=("a", "b"))
    with pytest.raises(ValueError, match=r"shape \(6, 3\), expected \(5, 3\)"):
        performance.scores(LOGITS, LABELS[:5], classes=NAMES)


def test_confusion_has_true_classes_in_rows():
    table = performance.confusion(LOGITS, LABELS, classes=NAMES)
    assert table.to_numpy().tolist() == [[2, 0, 0], [1, 1, 0], [1, 0, 1]]
    assert table.loc["b", "a"] == 1 and table.loc["a", "b"] == 0
    part = performance.confusion(LOGITS[3:4], LABELS[3:4], classes=NAMES)
    assert part.to_numpy().tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 0]]


def test_probability_of_the_true_class():
    found = performance.true_probability(LOGITS, LABELS)
    np.testing.assert_allclose(found, [0.8, 0.6, 0.5, 0.2, 0.5, 0.2])
    extreme = np.array([[1e4, 0.0], [0.0, 1e4]])
    np.testing.assert_array_equal(performance.true_probability(extreme, np.array([0, 0])), [1, 0])


@pytest.fixture
def predictions():
    """Predictions of the six films, of which two are for validation, in an unordered manifest."""
    manifest = pd.DataFrame(
        {
            "row": range(6),
            "image_id": ["i0", "i1", "i2", "i3", "i4", "i5"],
            "patient_id": ["p", "p", "q", "r", "s", "t"],
            "split": ["test", "validation", "test", "test", "validation", "test"],
            "label": np.array(NAMES)[LABELS],
        },
        index=[9, 7, 5, 3, 2, 1],
    )
    return performance.prediction_table(manifest, LOGITS, classes=NAMES)


def test_prediction_table_film_by_film(predictions):
    assert predictions["predicted"].tolist() == ["a", "a", "b", "a", "c", "a"]
    np.testing.assert_allclose(predictions["true_probability"], [0.8, 0.6, 0.5, 0.2, 0.5, 0.2])
    np.testing.assert_array_equal(performance.logits_of(predictions, classes=NAMES), LOGITS)
    np.testing.assert_array_equal(predictions["logit_b"], LOGITS[:, 1])
    assert predictions["image_id"].tolist() == [f"i{n}" for n in range(6)]


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_performance_by_split(predictions):
    table = performance.by_split(predictions, classes=NAMES)
    assert table.index.tolist() == ["test", "validation"] and table.index.name == "split"
    assert table["n"].tolist() == [4, 2]
    # Test films 0, 2, 3, 5: two of four right. Class a: 0.8 against 0.2, 0.7, 0.5. Class b: 0.5 and
    # 0.2 against 0.1 and 0.3, one pair wrong. Class c: 0.2 against 0.1, 0.3, 0.1, one pair wrong.
    assert table.loc["test", "accuracy"] == 0.5
    areas = table.loc["test", ["auc_a", "auc_b", "auc_c"]].tolist()
    assert areas == pytest.approx([1, 3 / 4, 2 / 3])
    assert table.loc["validation", "accuracy"] == 1 and np.isnan(table.loc["validation", "auc_b"])


def test_the_order_of_classes_is_that_of_the_caller(predictions):
    """Classes are matched by name: another order moves columns, not results."""
    table = performance.by_split(predictions, classes=("c", "a", "b"))
    expected = performance.by_split(predictions, classes=NAMES)
    pd.testing.assert_frame_equal(table[expected.columns], expected)


def test_calibration_has_known_answers():
    """Sure of class a by 0.8 and right in 3 of 4: the gap is 0.05, and so on by hand."""
    sure = np.log(np.array([[0.8, 0.1, 0.1]] * 4))
    found = performance.calibration(sure, np.array([0, 0, 0, 1]))
    assert found["ece"] == pytest.approx(abs(0.8 - 0.75))
    right, wrong = 0.04 + 0.01 + 0.01, 0.64 + 0.81 + 0.01
    assert found["brier"] == pytest.approx((3 * right + wrong) / 4)
    perfect = performance.calibration(1000 * np.eye(3), np.arange(3))
    assert perfect == {"ece": 0, "brier": 0}
    worst = performance.calibration(1000 * np.eye(2), np.array([1, 0]))
    assert worst == {"ece": 1, "brier": 2}


def test_calibration_agrees_with_an_independent_computation():
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(500, 2)), random.integers(2, size=500)
    found = performance.calibration(logits, labels)
    second = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    assert found["brier"] == pytest.approx(2 * brier_score_loss(labels, second))
    sure, right = np.maximum(second, 1 - second), (second > 0.5) == labels
    gap = 0.0
    for low in np.arange(10) / 10:  # bin by bin
        own = (sure >= low) & (sure < low + 0.1)
        gap += abs(sure[own].mean() - right[own].mean()) * own.mean() if own.any() else 0
    assert found["ece"] == pytest.approx(gap)
