"""Checkpoints of unknown origin: loaded without running their code, or refused with the reason."""

import json
import shutil
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from tiny_models import classifier, films, pixels

from lib.checkpoint_audit.files import CheckpointRefused, load

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "model.keras"
    classifier().save(path)
    return path


def rewritten(path, target, change):
    """Copy of a checkpoint whose graph `change` has altered."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as made:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                graph = json.loads(content)
                change(graph)
                content = json.dumps(graph).encode()
            made.writestr(name, content)
    return target


def test_a_good_file_gives_the_same_model(good):
    data = pixels(films(4))
    np.testing.assert_allclose(load(good)(data), classifier()(data), rtol=1e-5, atol=1e-6)


def test_a_lambda_layer_is_refused_by_name_and_never_run(tmp_path):
    path, ran = tmp_path / "lambda.keras", str(tmp_path / "ran")
    films = keras.Input((8, 8, 3))
    x = keras.layers.Lambda(lambda x: (open(ran, "w").close(), x)[1], name="mine")(films)
    keras.Model(films, keras.layers.Dense(2)(keras.layers.Flatten()(x))).save(path)
    Path(ran).unlink(missing_ok=True)
    with pytest.raises(CheckpointRefused, match=r"Lambda 'mine' is a Python function stored in"):
        load(path)
    assert not Path(ran).exists()


@pytest.mark.parametrize(
    ("module", "name", "why"),
    [
        ("os", "system", "is not a class of Keras"),
        ("mylib.layers", "Attention", "of mylib.layers is not a class of Keras"),
        ("keras.layers", "TFSMLayer", "runs a TensorFlow program"),
        ("keras.layers", "TorchModuleWrapper", "pickled PyTorch"),
        ("keras_hub.layers", "Thing", "is not a class of Keras"),
    ],
)
def test_foreign_classes_are_refused_before_keras_sees_them(
    good, tmp_path, monkeypatch, module, name, why
):
    def change(graph):
        graph["config"]["layers"][3] |= {"module": module, "class_name": name}

    path = rewritten(good, tmp_path / "foreign.keras", change)
    monkeypatch.setattr(keras.models, "load_model", lambda *a, **o: pytest.fail("loaded"))
    with pytest.raises(CheckpointRefused, match=why):
        load(path)


def test_a_custom_class_is_refused_even_where_it_is_registered(tmp_path):
    @keras.saving.register_keras_serializable("strangers")
    class Twice(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    films = keras.Input((8, 8, 3))
    scores = keras.layers.Dense(2)(keras.layers.Flatten()(Twice()(films)))
    keras.Model(films, scores).save(tmp_path / "custom.keras")
    with pytest.raises(CheckpointRefused, match=r"Twice .* is not a class of Keras"):
        load(tmp_path / "custom.keras")


def test_a_custom_loss_does_not_matter(tmp_path):
    def loss(y, p):
        return keras.ops.mean(p)

    model = classifier()
    model.compile("adam", loss)
    model.save(tmp_path / "compiled.keras")
    assert not load(tmp_path / "compiled.keras").compiled


def test_other_formats_are_refused_with_what_to_do(good, tmp_path):
    model = load(good)
    model.save(tmp_path / "old.h5")
    model.save_weights(tmp_path / "w.weights.h5")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/saved_model.pb").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    shutil.copy(good, tmp_path / "model.zip")
    for name, why in {
        "none.keras": "no such file", "old.h5": "legacy HDF5", "w.weights.h5": "without the graph",
        "saved": "SavedModel", "folder": "found a folder", "model.zip": "expected a .keras",
    }.items():  # fmt: skip
        with pytest.raises(CheckpointRefused, match=why):
            load(tmp_path / name)


def test_damage_is_refused(good, tmp_path):
    content = good.read_bytes()
    half = len(content) // 2
    damaged = {
        "cut": (content[:half], "damaged or no ZIP"),
        "text": (b"no archive", "damaged or no ZIP"),
        "flipped": (content[:half] + bytes([content[half] ^ 255]) + content[half + 1 :], "damaged"),
        "empty": (b"", "damaged or no ZIP"),
    }
    for name, (changed, why) in damaged.items():
        (tmp_path / f"{name}.keras").write_bytes(changed)
        with pytest.raises(CheckpointRefused, match=why):
            load(tmp_path / f"{name}.keras")
    with zipfile.ZipFile(tmp_path / "weights.keras", "w") as made:
        made.writestr("model.weights.h5", b"")
    with pytest.raises(CheckpointRefused, match="Save the whole model"):
        load(tmp_path / "weights.keras")
    for text, why in (("[1]", "describes no model"), ("{", "no JSON"), ("[" * 10**5, "no JSON")):
        with zipfile.ZipFile(tmp_path / "odd.keras", "w") as made:
            made.writestr("model.weights.h5", b"")
            made.writestr("config.json", text)
        with pytest.raises(CheckpointRefused, match=why):
            load(tmp_path / "odd.keras")


def test_what_keras_cannot_load_is_a_refusal_too(good, tmp_path):
    def change(graph):
        graph["config"]["layers"][3]["class_name"] = "NoSuchLayer"

    path = rewritten(good, tmp_path / "unknown.keras", change)
    with pytest.raises(CheckpointRefused, match="cannot load it"):
        load(path)
