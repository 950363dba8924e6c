"""How drift metrics follow the change of evidence: planted relations are found, and no others."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from lib.evidence.validity import RELATIONS, metric_validity, with_change
from lib.study.artefacts import read_table, write_table

CELL = {"architecture": "resnet50v2", "pairing": "finetune", "role": "auto_conv"}
RUN = {"method": "layercam", "before": "transfer-s0", "after": "finetune-s1"}
KEYS = [*CELL, *RUN, "image_id"]


def tables(change, films_per_patient=2, **metrics):
    """Pairs with these metrics, and their changes of the lesion's mass."""
    films = pd.DataFrame({"image_id": [f"f{i}" for i in range(len(change))]}).assign(**CELL, **RUN)
    pairs = films.assign(blank="", **metrics)
    patients = [f"p{i // films_per_patient}" for i in range(len(change))]
    change = films.assign(lesion_mass_change=change, lesion_area=0.1, patient_id=patients)
    return pairs, change


def rho(pairs, change, metric, **options):
    options = {"seed": 0, "resamples": 50, "metrics": (metric,)} | options
    return metric_validity(pairs, change, **options).set_index("relation")


@pytest.fixture(scope="module")
def change():
    return np.random.default_rng(5).uniform(-0.5, 0.5, 400)


def test_drift_that_grows_with_the_size_of_the_change_is_blind_to_its_sign(change):
    found = rho(*tables(change, emd=np.abs(change) ** 3), "emd", resamples=400)
    assert found.loc["size", "rho"] == pytest.approx(1)
    assert found.loc["size", ["low", "high"]].tolist() == pytest.approx([1, 1])
    assert abs(found.loc["signed", "rho"]) < 0.1
    assert found.loc["signed", "low"] < 0 < found.loc["signed", "high"]
    assert found["n"].tolist() == [400, 400] and found["patients"].tolist() == [200, 200]


def test_a_metric_that_follows_the_sign_is_told_apart(change):
    found = rho(*tables(change, gini_change=change**3), "gini_change")
    # A change of concentration enters by its size where the size is asked for.
    assert found["rho"].tolist() == pytest.approx([1, 1])
    one_sided = np.exp(4 * change)
    found = rho(*tables(change, emd=one_sided), "emd")
    assert found.loc["signed", "rho"] == pytest.approx(1)
    assert abs(found.loc["size", "rho"]) < 0.1


def test_similarities_are_negated(change):
    found = rho(*tables(change, iou_top20=1 - np.abs(change)), "iou_top20")
    assert found.loc["size", "rho"] == pytest.approx(1)
    found = rho(*tables(change, iou_top20=np.abs(change)), "iou_top20")
    assert found.loc["size", "rho"] == pytest.approx(-1)


def test_rho_is_spearmans_with_ties():
    random = np.random.default_rng(2)
    change = random.integers(-3, 4, 60) / 10
    overlap = random.integers(0, 5, 60) / 4
    found = rho(*tables(change, iou_top20=overlap), "iou_top20")
    assert found.loc["signed", "rho"] == pytest.approx(spearmanr(-overlap, change)[0])
    assert found.loc["size", "rho"] == pytest.approx(spearmanr(-overlap, np.abs(change))[0])


def test_resamples_draw_whole_patients():
    """The interval is that of Spearman's ρ over explicitly repeated films, patient by patient."""
    random = np.random.default_rng(3)
    change, distance = random.normal(size=30), random.integers(0, 9, 30) / 9
    pairs, changes = tables(change, films_per_patient=3, emd=distance)
    found = rho(pairs, changes, "emd", seed=8, resamples=40)
    names = sorted(changes["patient_id"].unique())
    draws = np.random.default_rng(8).multinomial(10, np.full(10, 0.1), size=40)
    expected = []
    for draw in draws:
        times = [draw[names.index(name)] for name in changes["patient_id"]]
        rows = np.repeat(np.arange(30), times)
        expected.append(spearmanr(distance[rows], change[rows])[0])
    ends = np.quantile(expected, [0.025, 0.975])
    np.testing.assert_allclose(found.loc["signed", ["low", "high"]].astype(float), ends)


def test_an_interval_over_copied_films_is_no_narrower(change):
    noisy = np.abs(change[:60]) + np.random.default_rng(1).normal(0, 0.2, 60)
    once = rho(*tables(change[:60], 1, emd=noisy), "emd", resamples=400)
    copies = [np.repeat(values, 3) for values in (change[:60], noisy)]
    thrice = rho(*tables(copies[0], 3, emd=copies[1]), "emd", resamples=400)
    widths = [(table["high"] - table["low"])["size"] for table in (once, thrice)]
    assert widths[1] == pytest.approx(widths[0], rel=0.1)
    assert thrice.loc["size", "films"] == 180 and thrice.loc["size", "patients"] == 60


def test_seeds_are_averaged_not_pooled(change):
    """Within each of two runs ρ = 1; pooled, the runs' different levels would hide it."""
    first = tables(change[:50], emd=np.abs(change[:50]))
    second = tables(change[50:100] / 100, emd=5 + np.abs(change[50:100]))
    both = [
        pd.concat([a, b.assign(after="finetune-s2")]) for a, b in zip(first, second, strict=True)
    ]
    found = rho(*both, "emd")
    assert found.loc["size", "rho"] == pytest.approx(1)
    assert found.loc["size", ["n", "films", "runs"]].tolist() == [100, 50, 2]


def test_blank_pairs_are_counted_and_films_without_a_lesion_are_not(change):
    pairs, changes = tables(change[:20], emd=np.abs(change[:20]))
    pairs.loc[:2, ["emd", "blank"]] = np.nan, "b: all zero"
    changes.loc[:4, "lesion_mass_change"] = np.nan
    changes.loc[3:4, "lesion_area"] = np.nan
    found = rho(pairs, changes, "emd")
    assert found[["n", "blank"]].to_numpy().tolist() == [[15, 3]] * 2
    assert found.loc["size", "rho"] == pytest.approx(1)


def test_all_metrics_are_judged_on_the_same_pairs(change):
    pairs, changes = tables(change[:20], emd=np.abs(change[:20]), pearson=change[:20])
    pairs.loc[4, "pearson"] = np.nan
    found = metric_validity(pairs, changes, seed=0, metrics=("emd", "pearson"), resamples=5)
    assert found["n"].tolist() == [19] * 4
    assert found["relation"].tolist() == [*RELATIONS] * 2


def test_what_cannot_be_correlated_has_no_rho(change):
    for pairs, changes in (
        tables(change[:9], emd=0.25),
        tables(np.zeros(9), emd=change[:9]),
        tables(change[:2], emd=[1.0, 2.0]),
        tables(change[:9], emd=np.nan),
    ):
        found = rho(pairs, changes, "emd")
        assert found[["rho", "low", "high"]].isna().all(axis=None)
        assert found["runs"].tolist() == [0, 0]
    two = rho(*tables(change[:8], 4, emd=change[:8]), "emd")
    assert two.loc["signed", "rho"] == pytest.approx(1)
    assert two[["low", "high"]].isna().all(axis=None), "two patients give no interval"


def test_pairs_meet_the_change_of_their_own_checkpoints(change):
    pairs, changes = tables(change[:4], emd=[1.0, 2, 3, 4])
    ceiling = pairs.assign(pairing="ceiling")
    other = pairs.assign(after="finetune-s2")
    joined = with_change(pd.concat([ceiling, other, ceiling, pairs[::-1]]), changes)
    assert joined["image_id"].tolist() == ["f3", "f2", "f1", "f0"]
    assert joined["lesion_mass_change"].tolist() == change[:4][::-1].tolist()
    with pytest.raises(ValueError, match="pairs: found 4 pairs and none of the 4 changes"):
        with_change(other, changes)
    with pytest.raises(ValueError, match=r"change: found .*'f0'.* twice; expected once"):
        with_change(pairs, pd.concat([changes, changes]))
    with pytest.raises(ValueError, match=r"pairs: found columns .* expected also \['after'\]"):
        with_change(pairs.drop(columns="after"), changes)


def test_unknown_metrics_and_missing_columns_are_refused(change):
    given = tables(change[:4], emd=1.0)
    with pytest.raises(ValueError, match=r"metrics: found \['iou'\]"):
        rho(*given, "iou")
    with pytest.raises(ValueError, match=r"expected also \['lesion_area'\]"):
        rho(given[0], given[1].drop(columns="lesion_area"), "emd")


def test_without_lesions_the_table_is_empty_and_can_be_read(change, tmp_path):
    pairs, changes = tables(change, emd=np.abs(change))
    blind = changes.assign(lesion_area=np.nan)
    found = metric_validity(pairs, blind, seed=1, metrics=("emd",), resamples=10)
    write_table(tmp_path / "validity.csv", found)
    read = read_table(tmp_path / "validity.csv")
    assert len(read) == 0 and {"metric", "rho", "n", "runs"} <= set(read.columns)
