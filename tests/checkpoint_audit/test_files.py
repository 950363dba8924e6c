"""Checkpoints of unknown origin: loaded without running their code, or refused with the reason."""

import json
import re
import shlex
import shutil
import subprocess
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from tiny_models import classifier, films, pixels

from lib.checkpoint_audit.networks.files import CheckpointRefused, load

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """One model as ``model.keras`` and ``model.h5``, and its weights as ``w.weights.h5``."""
    path = tmp_path_factory.mktemp("good") / "model.keras"
    model = classifier()
    model.save(path)
    model.save(path.with_suffix(".h5"))
    model.save_weights(path.with_name("w.weights.h5"))
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


def rewritten_h5(path, target, old, new):
    """Copy of an HDF5 checkpoint in whose graph `new` stands for `old`."""
    shutil.copy(path.with_suffix(".h5"), target)
    with h5py.File(target, "r+") as file:
        graph = file.attrs["model_config"]
        assert old in graph
        file.attrs["model_config"] = graph.replace(old, new)
    return target


def refusal(path):
    with pytest.raises(CheckpointRefused) as found:
        load(path)
    return str(found.value)


def followed(told, model, folder, monkeypatch):
    """The file that comes out of what a refusal says to do, word for word."""
    monkeypatch.chdir(folder)
    if " cp " in told:
        command = told[told.rindex(" cp ") :]
        subprocess.run(command, shell=True, check=True)
        return Path(shlex.split(command)[-1])
    steps = re.findall(r"model\.\w+\('[^']*'\)", told)
    assert steps, told
    for step in steps:
        exec(step, {"model": model})
    return folder / "name.keras"


def same(one, other):
    data = pixels(films(4))
    np.testing.assert_allclose(one(data), other(data), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_good_file_gives_the_same_model(good, ending):
    same(load(good.with_suffix(ending)), classifier())


def test_a_lambda_layer_is_refused_by_name_and_never_run(tmp_path, monkeypatch):
    path, ran = tmp_path / "lambda.keras", str(tmp_path / "ran")
    films = keras.Input((8, 8, 3))
    x = keras.layers.Lambda(lambda x: (open(ran, "w").close(), x)[1], name="mine")(films)
    stored = keras.Model(films, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    stored.save(path)
    Path(ran).unlink(missing_ok=True)
    stored.save(tmp_path / "lambda.h5")
    Path(ran).unlink(missing_ok=True)
    for file in (path, tmp_path / "lambda.h5"):
        assert "Lambda 'mine' is a Python function stored in" in refusal(file)
    assert not Path(ran).exists()
    x = keras.layers.Flatten()(keras.layers.Rescaling(1.0)(films))
    for file in (path, tmp_path / "lambda.h5"):
        anew = keras.Model(films, keras.layers.Dense(2)(x))
        made = load(followed(refusal(file), anew, tmp_path, monkeypatch))
        for weights, kept in zip(made.get_weights(), stored.get_weights(), strict=True):
            np.testing.assert_array_equal(weights, kept)


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
    for name in ("custom.keras", "custom.h5"):
        keras.Model(films, scores).save(tmp_path / name)
        assert re.search(r"Twice .* is not a class of Keras", refusal(tmp_path / name))


@pytest.mark.parametrize("name", ["Attention2", "mylib>Attention", "TypeSpec", "TFOpLambda"])
def test_foreign_classes_of_an_h5_file_are_refused_by_name(good, tmp_path, monkeypatch, name):
    path = rewritten_h5(good, tmp_path / "odd.h5", '"BatchNormalization"', f'"{name}"')
    monkeypatch.setattr(keras.models, "load_model", lambda *a, **o: pytest.fail("loaded"))
    assert f"{name} 'norm' is " in refusal(path)


def test_a_custom_loss_does_not_matter(tmp_path):
    def loss(y, p):
        return keras.ops.mean(p)

    model = classifier()
    model.compile("adam", loss)
    model.save(tmp_path / "compiled.keras")
    assert not load(tmp_path / "compiled.keras").compiled


def test_other_formats_are_refused_with_what_to_do(good, tmp_path):
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/saved_model.pb").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    shutil.copy(good, tmp_path / "model.zip")
    (tmp_path / "notes.txt").write_text("words")
    for name, why in {
        "none.keras": "no such file", "saved": "SavedModel", "folder": "found a folder",
        "model.zip": "expected a .keras", "notes.txt": "expected a .keras or .h5 file",
    }.items():  # fmt: skip
        with pytest.raises(CheckpointRefused, match=why):
            load(tmp_path / name)


def test_what_a_refusal_says_to_do_works_word_for_word(good, tmp_path, monkeypatch):
    weights = shutil.copy(good.with_name("w.weights.h5"), tmp_path / "w.weights.h5")
    shutil.copy(good.with_suffix(".h5"), tmp_path / "it's old.keras")
    shutil.copy(good, tmp_path / "new.h5")
    shutil.copy(good, tmp_path / "LOUD.KERAS")
    with h5py.File(shutil.copy(good.with_suffix(".h5"), tmp_path / "bare.h5"), "r+") as file:
        del file.attrs["model_config"]
    slash = rewritten_h5(good, tmp_path / "slash.h5", '"first"', '"conv1/first"')
    unknown = rewritten_h5(good, tmp_path / "unknown.h5", '"BatchNormalization"', '"Mine"')
    for path, why in {
        weights: "weights without the graph", tmp_path / "bare.h5": "weights without the graph",
        tmp_path / "it's old.keras": "found a file of HDF5, expected a .h5",
        tmp_path / "new.h5": "found a file of Keras, expected a .keras",
        tmp_path / "LOUD.KERAS": "found a file of Keras, expected a .keras",
        slash: "cannot contain character", unknown: "Mine 'norm' is not a class of Keras",
    }.items():  # fmt: skip
        told = refusal(Path(path))
        assert why in told, told
        made = followed(told, classifier(seed=2), tmp_path, monkeypatch)
        same(load(made), classifier())


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("net.pt", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 ", "pickled Python, such as PyTorch's"),
        ("net.keras", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 ", "pickled Python, such as PyTorch's"),
        ("net.keras", "archive/data.pkl", "PyTorch"),
        ("net.pth", "archive/data.pkl", "PyTorch"),
        ("net.keras", b"\x08\x08\x12\x07pytorch", "ONNX"),
        ("net.onnx", b"\x08\x0a:", "ONNX"),
        ("net.h5", b"\x1c\0\0\0TFL3", "TensorFlow Lite"),
        ("net.safetensors", b"\x40\0\0\0\0\0\0\0{", "safetensors"),
    ],
)
def test_files_of_others_are_named_for_what_they_are(tmp_path, name, content, what):
    path = tmp_path / name
    if isinstance(content, str):
        with zipfile.ZipFile(path, "w") as made:
            made.writestr(content, b"")
    else:
        path.write_bytes(content)
    told = refusal(path)
    assert f"a file of {what}; only models of Keras" in told
    assert told.endswith("and save it: model.save('name.keras')")


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
    old = good.with_suffix(".h5").read_bytes()
    for name, changed in {"cut": old[: len(old) // 2], "text": b"no HDF5", "empty": b""}.items():
        (tmp_path / f"{name}.h5").write_bytes(changed)
        assert "damaged or no HDF5 file" in refusal(tmp_path / f"{name}.h5")
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


def test_what_keras_cannot_load_is_a_refusal_with_its_last_reason(good, tmp_path):
    def unknown(graph):
        graph["config"]["layers"][3]["class_name"] = "NoSuchLayer"

    def misspelt(graph):
        graph["config"]["layers"][3]["config"]["filtres"] = 7

    told = refusal(rewritten(good, tmp_path / "unknown.keras", unknown))
    assert "cannot load it" in told and "NoSuchLayer" in told
    told = refusal(rewritten(good, tmp_path / "misspelt.keras", misspelt))
    assert "filtres" in told and "could not be deserialized properly" not in told
