"""The probe of a source of weights: features that know the class, and features that do not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from lib.models import linear_probe

CLASS = np.arange(120) % 3
MANIFEST = pd.DataFrame(
    {"label": np.array(list("abc"))[CLASS],
     "split": np.array(["train", "validation", "test"])[np.arange(120) // 3 % 3]}
)  # fmt: skip


def test_features_that_know_the_class_are_perfect():
    found = linear_probe.probe(np.eye(3)[CLASS], MANIFEST)
    assert found["macro_auc"] == found["balanced_accuracy"] == 1
    assert (found["train"], found["test"]) == (42, 39)


def test_features_that_know_two_of_three_classes_are_half_right_about_these():
    """Class a is known; of b and c all films look alike, and are told to be one of the two."""
    found = linear_probe.probe(np.eye(2)[(CLASS > 0).astype(int)], MANIFEST)
    told = np.where(CLASS > 0, 1, 0)[MANIFEST["split"] == "test"]
    known = balanced_accuracy_score(CLASS[MANIFEST["split"] == "test"], told)
    assert found["balanced_accuracy"] == pytest.approx(known) == pytest.approx(2 / 3)
    assert found["macro_auc"] == pytest.approx((1 + 3 / 4 + 3 / 4) / 3)
