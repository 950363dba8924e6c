"""The experiment with a planted shortcut: its films, pairings and data."""

import numpy as np
import pandas as pd
import pytest

from lib.data import cache
from lib.data.index import read_index
from lib.data.phantoms.cohort import write_cohort
from lib.drift.pairings import Pairing, pairings
from lib.evidence.shortcut import correction, shortcut_pairs
from lib.hypotheses.observations import Observations
from lib.study import load
from lib.study.data_params import PhantomData
from lib.study.names import trained


def change():
    rows = [
        {"architecture": "resnet50v2", "pairing": pairing, "before": "transfer-s0",
         "after": after, "role": "post_activation", "method": "layercam", "image_id": film,
         "label": label, "patient_id": film[:-1], "lesion_area": area,
         "lesion_mass_change": gain}
        for pairing, after, gain in (
            ("finetune", "finetune-s0", 0.0), ("corrected", "corrected-s0", 0.25),
            ("placebo", "placebo-s0", 0.0),
        )
        for film, label, area in (
            ("a1", "covid19", 0.1), ("a2", "covid19", 0.1), ("b1", "covid19", np.nan),
            ("c1", "tuberculosis", 0.1), ("d1", "normal", np.nan),
        )
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_films_of_the_betrayed_class_with_a_lesion_count():
    table = shortcut_pairs(change(), label="covid19")
    assert set(table["image_id"]) == {"a1", "a2"} and table["common"].all()
    gains = table.groupby("pairing")["lesion_gain"].mean()
    assert dict(gains) == {"shortcut_kept": 0.0, "shortcut_removed": 0.25}
    seen = Observations.from_tables(table, pd.Series({"a1": "a", "a2": "a"}))
    cell = ("resnet50v2", "layercam", "post_activation", "shortcut_removed")
    assert seen.counts("lesion_gain", cell)["films"] == 2


@pytest.mark.parametrize(
    ("table", "label", "missing"),
    [
        (change().query("pairing != 'corrected'"), "covid19", "'corrected'"),
        (change(), "normal", "'corrected'"),
    ],
)
def test_without_both_pairings_or_a_lesion_it_says_what_is_missing(table, label, missing):
    with pytest.raises(ValueError, match=rf"no pair {missing} of films of '{label}'.*shortcut"):
        shortcut_pairs(table, label=label)


def test_only_a_planted_shortcut_adds_the_corrected_fine_tuning():
    assert load.load("phantom").modes == ("finetune", "placebo")
    params = load.load("shortcut")
    assert params.modes == ("finetune", "placebo", "corrected")
    assert "corrected-s2" in params.checkpoints
    names = [pair.name for pair in pairings([0], [0], modes=params.modes)]
    assert names == ["finetune", "placebo", "corrected", "explainer", "randomised", "ceiling"]


def test_a_training_on_shuffled_labels_is_asked_for_and_judges_no_film():
    asked = load.load("phantom", {"controls": ["shuffled"]})
    assert asked.modes == ("finetune", "placebo", "shuffled")
    assert "shuffled-s2" in asked.checkpoints and not trained("shuffled-s2")
    found = pairings([0], [0], modes=asked.modes, controls=asked.controls)
    assert Pairing("shuffled", "transfer-s0", "shuffled-s0") in found


def test_the_twin_cohort_differs_in_markers_alone(tmp_path):
    planted = PhantomData(patients_per_class=6, images_per_patient=(1, 2), size=64, shortcut=1.0)
    classes, tables, films = ("normal", "covid19"), [], []
    for data in (planted, planted.model_copy(update={"shortcut": 0.0})):
        folder = tmp_path / str(data.shortcut)
        index = write_cohort(data, folder, classes=classes, seed=3)
        tables.append(pd.read_csv(index))
        listed = read_index(index, classes=classes)
        cache.build(listed, index.parent, sizes=[64], aspect="letterbox", folder=folder)
        films.append(np.asarray(cache.load(folder / "images_64.npy")).astype(int))
    marked = tables[0].pop("marker_mask")
    listed = read_index(tmp_path / "1.0/phantoms.csv", classes=classes).assign(
        row=range(len(marked)), width=64, height=64
    )
    cache.build_masks(listed, tmp_path / "1.0", sizes=[64], aspect="letterbox", folder=tmp_path)
    corners = np.asarray(cache.load(tmp_path / "marker_64.npy"))
    assert (corners.any(axis=(1, 2)) == (tables[0]["label"] == "covid19")).all()
    same = [c for c in tables[0] if c != "marker"]
    pd.testing.assert_frame_equal(tables[0][same], tables[1][same])
    assert (tables[0]["marker"] == (tables[0]["label"] == "covid19")).all()
    assert 0 < tables[1]["marker"].mean() < 1
    moved = np.abs(films[0] - films[1])
    differ = (tables[0]["marker"] != tables[1]["marker"]).to_numpy()
    assert (moved[~differ] == 0).all() and (moved[differ].max(axis=(1, 2)) > 0).all()
    assert (moved[:, 16:] == 0).all()  # the marker lies in an upper corner


def measured():
    """Six films of three patients, two seeds: without the marker maps move more, to the lesion."""
    random, pairs, moved = np.random.default_rng(5), [], []
    for seed in (0, 1):
        for pairing, after, iou, gain, marker in (
            ("finetune", f"finetune-s{seed}", 0.8, 0.0, 0.0),
            ("corrected", f"corrected-s{seed}", 0.3, 0.2, -3.0),
        ):
            for film in range(6):
                noise = 0.01 * random.standard_normal(4)
                cell = {"architecture": "resnet50v2", "pairing": pairing, "before": "transfer-s0",
                        "after": after, "role": "post_activation", "method": "layercam",
                        "image_id": f"f{film}"}  # fmt: skip
                entropy = -0.1 if pairing == "corrected" else 0.2
                pairs.append(cell | {"iou_top20": iou + noise[0], "entropy_change": entropy})
                moved.append(
                    cell
                    | {"label": "covid19" if film < 5 else "normal", "patient_id": f"p{film // 2}"}
                    | {"lesion_mass_change": gain + noise[1]}
                    | {"marker_enrichment_change": marker + noise[2]}
                )
    return pd.DataFrame(pairs), pd.DataFrame(moved)


def test_a_metric_without_reference_takes_the_correction_for_instability():
    pairs, moved = measured()
    metrics = ["iou_top20", "entropy_change"]
    table = correction(pairs, moved, label="covid19", metrics=metrics).set_index("measure")
    assert table["finding"].to_dict() == {
        "iou_top20": "calls the correction instability", "entropy_change": "prefers the correction",
        "lesion_mass": "gains", "marker_enrichment": "loses",
    }  # fmt: skip
    assert (table["n"] == 10).all() and (table["patients"] == 3).all()  # the normal film is out
    drift = table.loc["iou_top20"]
    own = 1 - pairs[pairs["image_id"] != "f5"].groupby("pairing")["iou_top20"].mean()
    assert drift["removed"] == pytest.approx(own["corrected"])
    assert drift["difference"] == pytest.approx(own["corrected"] - own["finetune"])
    # The size of a change of concentration is its drift, whichever way it goes.
    assert table.loc["entropy_change", "difference"] == pytest.approx(0.1 - 0.2)


def test_where_both_fine_tunings_move_maps_alike_no_metric_can_tell():
    pairs, moved = measured()
    pairs["iou_top20"] = np.random.default_rng(2).random(len(pairs))
    table = correction(pairs, moved, label="covid19", metrics=["iou_top20"])
    assert table.set_index("measure").loc["iou_top20", "finding"] == "cannot tell"


def test_a_correction_needs_both_fine_tunings():
    pairs, moved = measured()
    with pytest.raises(ValueError, match="no film of 'covid19' with both fine-tunings"):
        correction(pairs.query("pairing == 'finetune'"), moved, label="covid19", metrics=[])
