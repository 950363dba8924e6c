"""The experiment with a planted shortcut: its films, pairings and data."""

import numpy as np
import pandas as pd
import pytest

from lib import image_cache, studies
from lib.cohort import write_cohort
from lib.data import read_index
from lib.data_params import PhantomData
from lib.observations import Observations
from lib.pairings import pairings
from lib.shortcut import shortcut_pairs


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
    assert studies.load("phantom").modes == ("finetune", "placebo")
    params = studies.load("shortcut")
    assert params.modes == ("finetune", "placebo", "corrected")
    assert "corrected-s2" in params.checkpoints
    names = [pair.name for pair in pairings([0], [0], modes=params.modes)]
    assert names == ["finetune", "placebo", "corrected", "explainer", "randomised", "ceiling"]


def test_the_twin_cohort_differs_in_markers_alone(tmp_path):
    planted = PhantomData(patients_per_class=6, images_per_patient=(1, 2), size=64, shortcut=1.0)
    classes, tables, films = ("normal", "covid19"), [], []
    for data in (planted, planted.model_copy(update={"shortcut": 0.0})):
        folder = tmp_path / str(data.shortcut)
        index = write_cohort(data, folder, classes=classes, seed=3)
        tables.append(pd.read_csv(index))
        listed = read_index(index, classes=classes)
        image_cache.build(listed, index.parent, sizes=[64], aspect="letterbox", folder=folder)
        films.append(np.asarray(image_cache.load(folder / "images_64.npy")).astype(int))
    same = [c for c in tables[0] if c != "marker"]
    pd.testing.assert_frame_equal(tables[0][same], tables[1][same])
    assert (tables[0]["marker"] == (tables[0]["label"] == "covid19")).all()
    assert 0 < tables[1]["marker"].mean() < 1
    moved = np.abs(films[0] - films[1])
    differ = (tables[0]["marker"] != tables[1]["marker"]).to_numpy()
    assert (moved[~differ] == 0).all() and (moved[differ].max(axis=(1, 2)) > 0).all()
    assert (moved[:, 16:] == 0).all()  # the marker lies in an upper corner
