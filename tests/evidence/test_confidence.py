"""Drift against the change of confidence: planted relations, and against SciPy."""

import numpy as np
import pandas as pd
import pytest
from maps_material import map_set
from scipy.special import softmax
from scipy.stats import spearmanr

from lib.evidence.confidence import METRICS, confidence_changes, confidence_table
from lib.study.schema import check

FILMS = [f"f{n}" for n in range(40)]
PATIENTS = pd.Series([f"p{n // 2}" for n in range(40)], FILMS)
LABELS = np.arange(40) % 3


BEFORE, AFTER = (np.random.default_rng(seed).normal(size=(40, 3)) for seed in (0, 1))
NETWORKS = [map_set({}, labels=LABELS, ids=FILMS, logits=logits) for logits in (BEFORE, AFTER)]
SETS = {"resnet50v2": dict(zip(("transfer-s0", "finetune-s0"), NETWORKS, strict=True))}
OWN = np.arange(40), LABELS
CHANGE = {
    "logit": AFTER[OWN] - BEFORE[OWN],
    "probability": softmax(AFTER, axis=1)[OWN] - softmax(BEFORE, axis=1)[OWN],
}


def pairs(**metrics):
    cell = {"architecture": "resnet50v2", "method": "layercam", "role": "stage4"}
    cell |= {"pairing": "finetune", "before": "transfer-s0", "after": "finetune-s0"}
    noise = np.random.default_rng(3)
    values = {name: noise.random(40) for name in METRICS} | metrics
    return pd.DataFrame(cell | {"image_id": FILMS, "blank": ""} | values)


def rho(table, target, metric="unit_distance"):
    rows = table[(table["target"] == target) & (table["metric"] == metric)]
    return rows.set_index("relation")["rho"]


def test_changes_are_those_of_the_true_class():
    found = confidence_changes(pairs()[::-1], SETS, PATIENTS).set_index("image_id").loc[FILMS]
    for name, change in CHANGE.items():
        np.testing.assert_allclose(found[f"{name}_change"], change)
    assert found["patient_id"].tolist() == PATIENTS.tolist()


@pytest.mark.parametrize("target", CHANGE)
def test_planted_relations_are_found_and_the_rest_is_spearmans(target):
    change = CHANGE[target]
    table = pairs(unit_distance=np.abs(change), soft_iou=-change)
    found = confidence_table(table, SETS, PATIENTS, seed=0, resamples=60)
    check("confidence", found)
    assert rho(found, target)["size"] == pytest.approx(1)
    assert rho(found, target, "soft_iou")["signed"] == pytest.approx(1)
    expected = spearmanr(-table["iou_top20"], np.abs(change))[0]
    assert rho(found, target, "iou_top20")["size"] == pytest.approx(expected)
    assert set(found["films"]) == {40} and set(found["patients"]) == {20}
    noise = found[found["metric"] == "iou_top20"]
    assert ((noise["low"] < noise["rho"]) & (noise["rho"] < noise["high"])).all()


def test_networks_that_say_the_same_have_no_change_to_follow():
    same = {"resnet50v2": dict.fromkeys(("transfer-s0", "finetune-s0"), NETWORKS[0])}
    found = confidence_table(pairs(), same, PATIENTS, seed=0, resamples=20)
    assert found["rho"].isna().all()
    assert confidence_table(pairs()[:0], same, PATIENTS, seed=0).empty
