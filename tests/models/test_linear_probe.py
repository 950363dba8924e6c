"""The probe of a source of weights: features that know the class, and features that do not."""

import numpy as np
import pandas as pd
import pytest

from lib.models import linear_probe


@pytest.fixture(scope="module")
def manifest():
    """Three classes of forty patients with two films each."""
    patients = np.repeat(np.arange(120), 2)
    return pd.DataFrame(
        {
            "label": np.array(["a", "b", "c"])[patients % 3],
            "patient_id": patients.astype(str),
            "split": np.array(["train", "validation", "test"])[patients // 3 % 3],
        }
    )


def test_features_that_know_the_class_are_perfect(manifest):
    values = np.eye(3)[manifest["label"].factorize()[0]]
    found = linear_probe.probe(values, manifest)
    assert found["macro_auc"] == found["balanced_accuracy"] == 1
    folds = found["cross_validated"]
    assert folds["macro_auc"] == folds["balanced_accuracy"] == 1 and folds["macro_auc_sd"] == 0
    assert found["train"] + found["test"] == (manifest["split"] != "validation").sum()


def test_features_that_know_the_patient_are_worth_nothing(manifest):
    """A film's twin has its features, but is never on the other side."""
    own = np.random.default_rng(0).normal(0, 1, (120, 60))[manifest["patient_id"].astype(int)]
    folds = linear_probe.cross_validated(own, manifest)
    assert abs(folds["macro_auc"] - 0.5) < 0.12
    assert abs(folds["balanced_accuracy"] - 1 / 3) < 0.15
