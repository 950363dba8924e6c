"""A folder of DICOM, PNG, JPEG and broken files, from the files to a table of drift."""

import numpy as np
import pytest
from dicom_material import dicom
from hostile_material import reasons
from material import CLASSES, FRACTIONS, encoded, film

from lib import __main__ as commands
from lib.attribution.explainer import Explainer
from lib.attribution.maps import MapSet
from lib.data import batches
from lib.data import cache as image_cache
from lib.data.audit import duplicates
from lib.data.index import read_index
from lib.data.splits import assign_splits, check_counts
from lib.drift import pairings, summaries
from lib.models import training
from lib.study import artefacts, load
from lib.study.params import Finetune, Runtime, Transfer

pytestmark = pytest.mark.network


@pytest.fixture
def folder(mixed):
    """The hostile folder of test_hostile_data, with enough sound films to learn from."""
    for number in range(20):
        sound = film(400 + number) // 2 + 120, film(500 + number) // 2
        (mixed / "normal" / f"bright_{number}.dcm").write_bytes(
            dicom(sound[0], PatientID=f"bright {number}")
        )
        (mixed / "covid19" / f"dark_{number}.png").write_bytes(encoded(sound[1]))
    return mixed


def test_a_mixed_folder_becomes_a_table_of_drift(folder, tmp_path, tiny_model):
    words = f"data.source={folder} classes=[{','.join(CLASSES)}]"
    commands.check_data(load.load("real", load.parse_overrides(words)))
    index = read_index(folder, classes=CLASSES)
    films, rejected = image_cache.build(
        index, folder, sizes=[32], aspect="letterbox", folder=tmp_path
    )
    assert len(rejected) == len(reasons()) and len(films) == len(index) - len(rejected)
    films, _ = duplicates.resolve(films)
    manifest = assign_splits(films, fractions=FRACTIONS, seed=1)
    assert check_counts(manifest, classes=CLASSES)["images"].min() > 0

    cache = image_cache.load(tmp_path / "images_32.npy")
    train, validation, test = (
        batches.films(cache, manifest, splits=[split], classes=CLASSES)
        for split in ("train", "validation", "test")
    )
    how = {
        "train": train, "validation": validation,
        "classes": CLASSES, "runtime": Runtime(), "seed": 1, "state": tmp_path / "state",
        "report": lambda line: None,
    }  # fmt: skip
    model = tiny_model(classes=2)
    explain = Explainer(model, {"post_activation": model.get_layer("top")})
    ids = manifest.query("split == 'test'")["image_id"]
    features = training.pooled_features(model, cache, batch_size=32)
    start = Transfer(epochs=20, learning_rate=0.1)
    training.train_transfer(model, training.Run(params=start, **how), features=features)
    explain(test, ids).save(tmp_path / "transfer.npz")
    tune = Finetune(epochs=2, learning_rate=0.01, batch_size=8)
    training.train_finetune(model, training.Run(params=tune, **how))
    explain(test, ids).save(tmp_path / "finetune.npz")

    sets = {"transfer-s0": "transfer.npz", "finetune-s0": "finetune.npz"}
    sets = {"resnet50v2": {name: MapSet.load(tmp_path / file) for name, file in sets.items()}}
    own = summaries.own_support(sets)
    common = own["resnet50v2"]
    assert common.sum() > len(test) / 2
    patients = manifest.query("split == 'test'")["patient_id"].to_numpy()
    single, _, _ = summaries.drift_tables(
        sets, pairings.pairings([0], [0]), patients, own, seed=1,
        pairs_file=tmp_path / "pairs.csv",
    )  # fmt: skip
    drift = summaries.over_seeds(single).query("pairing == 'finetune' and metric == 'iou_top20'")
    assert drift["method"].tolist() == ["layercam", "gradcam_plus_plus", "gradcam"]
    assert (drift["n"] + drift["blank"] == common.sum()).all() and drift["n"].min() > 0
    assert drift["mean"].between(0, 1).all()
    np.testing.assert_allclose(drift["mean"].iloc[0], drift["mean"].iloc[1])  # at the pooled map
    pairs = artefacts.read_table(tmp_path / "pairs.csv")
    assert set(pairs["image_id"]) == set(ids)
    assert {name.rsplit(".", 1)[-1] for name in ids} >= {"dcm", "png"}
    assert not set(ids) & {f"normal/{name}" for name in reasons()}
