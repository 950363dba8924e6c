"""Weights in eight bits: the error of rounding is bounded, and nothing wrong is read."""

import json
import zipfile

import keras
import numpy as np
import pytest

from lib.__main__ import check_weights
from lib.models import eight_bit, weights
from lib.study import artefacts
from lib.study.load import ParamsError, load
from lib.study.params import Weights

pytestmark = pytest.mark.network


def _backbone(channels=5, *, seed=0):
    keras.utils.set_random_seed(seed)
    films = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(1 / 255)(films)
    x = keras.layers.Conv2D(channels, 3, use_bias=False)(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Conv2D(4, 1)(x)
    model = keras.Model(films, x, name="small")
    random = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(random.normal(1, 0.5, weight.shape))
    return model


@pytest.fixture
def stored(tmp_path):
    model, path = _backbone(), tmp_path / "small.npz"
    record = artefacts.begin(path, parameters={"seed": 0})
    eight_bit.write(model, path)
    record.complete()
    return model, path


def test_rounding_errs_by_at_most_half_a_scale_in_every_channel():
    random = np.random.default_rng(3)
    kernel = random.normal(0, 1, (3, 3, 7, 6)).astype(np.float32) * 10.0 ** np.arange(-3, 3)
    kernel[..., 2] = 0  # a channel that has died
    rounded, scale = eight_bit.quantise(kernel)
    assert rounded.dtype == np.int8 and scale.shape == (6,)
    largest = np.abs(kernel).reshape(-1, 6).max(0)
    np.testing.assert_allclose(scale, largest / 127, rtol=1e-6)
    error = np.abs(eight_bit.restore(rounded, scale) - kernel).reshape(-1, 6).max(0)
    assert (error <= largest / 254 * (1 + 1e-5)).all()
    assert np.abs(rounded).reshape(-1, 6).max(0).tolist() == [127, 127, 0, 127, 127, 127]


def test_known_numbers_are_rounded_to_known_numbers():
    rounded, scale = eight_bit.quantise(np.array([[-2.54, 1.0], [0.03, 0.5], [0.0, 127.0]]))
    assert rounded.tolist() == [[-127, 1], [2, 0], [0, 127]]  # half to even
    np.testing.assert_allclose(scale, [0.02, 1.0], rtol=1e-6)


def test_what_was_written_is_read_and_only_kernels_are_rounded(stored):
    model, path = stored
    other = _backbone(seed=1)  # a second instance has other layer names in this process
    assert other.layers[2].name != model.layers[2].name
    eight_bit.read_into(other, path)
    for one, again in zip(model.weights, other.weights, strict=True):
        if len(one.shape) > 1:
            scale = np.abs(one.numpy()).max(axis=tuple(range(len(one.shape) - 1))) / 127
            assert (np.abs(one.numpy() - again.numpy()) <= scale / 2 * (1 + 1e-4)).all()
        else:
            np.testing.assert_array_equal(one.numpy(), again.numpy())


def test_the_file_is_the_same_for_the_same_weights_and_holds_no_pickle(stored, tmp_path):
    model, path = stored
    eight_bit.write(model, tmp_path / "again.npz")
    assert artefacts.sha256(path) == artefacts.sha256(tmp_path / "again.npz")
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            assert name.endswith(".npy") and b"'O'" not in archive.read(name)[:128]
    with np.load(path, allow_pickle=False) as arrays:
        assert {str(arrays[name].dtype) for name in arrays.files} == {"int8", "float32"}


def test_weights_of_another_backbone_are_refused_and_nothing_is_changed(stored):
    _, path = stored
    other = _backbone(6)
    before = other.get_weights()
    expected = r"0000\.Conv2D\.kernel is int8 of shape \(3, 3, 3, 5\), expected int8 of shape"
    with pytest.raises(ValueError, match=expected):
        eight_bit.read_into(other, path)
    for one, again in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, again)
    fewer = keras.Model(other.input, other.layers[2].output, name="fewer")
    with pytest.raises(ValueError, match=r"0001\.BatchNormalization\.gamma is .*expected absent"):
        eight_bit.read_into(_backbone_of(fewer), path)


def _backbone_of(model):
    kernel = np.zeros((3, 3, 3, 5), np.float32)
    films = keras.Input((16, 16, 3))
    fewer = keras.Model(films, keras.layers.Conv2D(5, 3, use_bias=False)(films), name=model.name)
    fewer.set_weights([kernel])
    return fewer


def test_bytes_that_are_not_those_recorded_are_refused(stored):
    model, path = stored
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"SHA-256.*make source-weights"):
        eight_bit.read_into(model, path)
    artefacts.manifest_path(path).unlink()
    with pytest.raises(ValueError, match=r"no manifest.*make source-weights"):
        eight_bit.read_into(model, path)


def test_an_archive_with_a_pickle_is_refused(stored):
    model, path = stored
    record = artefacts.begin(path, parameters={})
    np.savez(path, **{"0000.Conv2D.kernel": np.array([{"code": 1}], dtype=object)})
    record.complete()
    with pytest.raises(ValueError, match="no readable array archive"):
        eight_bit.read_into(model, path)


def test_a_weight_that_is_not_finite_is_not_written(tmp_path):
    model = _backbone()
    model.weights[0].assign(np.full(model.weights[0].shape, np.nan))
    with pytest.raises(ValueError, match="not finite"):
        eight_bit.write(model, tmp_path / "bad.npz")
    assert not list(tmp_path.iterdir())


def test_drawn_weights_are_the_shipped_file_and_their_absence_stops_the_start(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(weights, "SHIPPED", tmp_path)
    params = load("smoke", {"weights": {"source": "drawn"}})
    source = Weights(source="drawn")
    file = weights.weights_file("resnet50v2", source, None, seed=1)
    assert file == tmp_path / "resnet50v2.npz"
    assert weights.builder_weights("resnet50v2", source, None, seed=1) == str(file)
    with pytest.raises(ParamsError, match=r"resnet50v2.*weights\.source=fractal"):
        check_weights(params)
    for name in params.architectures:
        (tmp_path / f"{name}.npz").write_bytes(json.dumps(name).encode())
    check_weights(params)


@pytest.mark.parametrize("file", sorted(weights.SHIPPED.glob("*.npz")), ids=lambda file: file.stem)
def test_shipped_weights_are_whole_small_and_as_good_as_they_must_be(file):
    artefacts.require(file)
    assert file.stat().st_size <= eight_bit.LARGEST
    record = artefacts.read_manifest(file)
    assert record["parameters"]["architecture"] == file.stem
    assert not record["code"].endswith("+changes"), "made by a committed revision"
    worth = record["probes"]["phantom"]
    assert worth["eight_bit"]["macro_auc"] >= 0.94
    for probed in record["probes"].values():
        assert abs(probed["difference"]) <= 0.005, "what eight bits cost"
