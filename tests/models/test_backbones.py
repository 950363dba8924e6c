"""Facts about the three real backbones: graph, layer roles, preprocessing, attribution."""

import importlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from material import SIZES
from tf_keras_vis.utils.scores import CategoricalScore

from lib.attribution import explainer, shared_pass
from lib.attribution.maps import largest_difference
from lib.data.batches import Films, batches, pixels
from lib.models import backbones, layers
from lib.study.architectures import ARCHITECTURES, ROLES
from lib.study.names import GRADIENT_METHODS

pytestmark = pytest.mark.backbone


@pytest.fixture(scope="module")
def explained(backbone, film_set):
    """Films, labels and the maps of the shared pass, made once per backbone."""
    name, model = backbone
    data = film_set(SIZES[name], 6)
    films, labels, _ = next(iter(batches(data, batch_size=6)))
    # Statistics of these films, as before the transfer stage: with the initial ones the
    # activations of an untrained DenseNet201 decay and leave nothing to explain.
    backbones.recalibrate_batch_norm(model, [films])
    roles = layers.role_layers(model, name)
    maps = explainer.Explainer(model, roles)(data, list("abcdef"), batch_size=4)
    return name, model, data, films, labels, roles, maps


def test_roles_have_the_documented_channels_and_one_grid(explained):
    name, _, _, _, _, roles, _ = explained
    expected = {
        "densenet201": {"stage4": (10, 896), "auto_conv": 32, "prev_conv": 128, "pooled": 1920},
        "resnet50v2": {"stage4": (10, 1024), "auto_conv": 2048, "prev_conv": 512, "pooled": 2048},
        "inceptionv3": {"stage4": (11, 768), "auto_conv": 192, "prev_conv": 320, "pooled": 2048},
    }[name]
    grid, channels = expected.pop("stage4")
    shapes = {role: tuple(layer.output.shape[1:]) for role, layer in roles.items()}
    assert shapes.pop("stage4") == (grid, grid, channels)
    assert list(shapes.values()) == [(5, 5, channels) for channels in expected.values()]
    assert ARCHITECTURES[name].grid(SIZES[name]) == 5


def test_auto_conv_is_what_tf_keras_vis_picks(explained):
    _, model, _, _, _, roles, _ = explained
    from tf_keras_vis.utils.model_modifiers import ExtractIntermediateLayerForGradcam

    picked = ExtractIntermediateLayerForGradcam(-1, seek_conv_layer=True)(model).outputs[-1]
    assert picked is roles["auto_conv"].output


def test_a_channel_count_that_does_not_fit_is_refused(explained, monkeypatch):
    name, model, *_ = explained
    monkeypatch.setitem(ARCHITECTURES[name].channels, "auto_conv", 7)
    with pytest.raises(ValueError, match="expected 7"):
        layers.role_layers(model, name)


def test_preprocessing_equals_that_of_keras(backbone):
    name, _ = backbone
    module = importlib.import_module(f"keras.applications.{ARCHITECTURES[name].module}")
    films = pixels(np.arange(256, dtype=np.uint8).reshape(1, 16, 16))
    ours = backbones.preprocess(ARCHITECTURES[name], films)
    np.testing.assert_allclose(ours, module.preprocess_input(films.copy()), atol=2e-6)


def test_the_graph_is_flat_and_returns_logits(backbone):
    _, model = backbone
    assert not [layer for layer in model.layers if isinstance(layer, keras.Model)]
    assert model.layers[-1].activation is keras.activations.linear


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_maps_equal_tf_keras_vis_on_the_whole_model(explained, role, method):
    _, model, _, films, labels, roles, maps = explained
    whole = explainer.CAMS[method](model)(
        CategoricalScore([int(label) for label in labels]),
        films,
        penultimate_layer=roles[role].name,
        seek_penultimate_conv_layer=False,
        expand_cam=False,
        normalize_cam=False,
    )
    ours, whole = maps.maps[role, method], np.asarray(whole)
    for a, b in zip(ours, whole, strict=True):
        if b.max() <= 0:
            assert a.max() <= 1e-6 * max(1.0, ours.max())
        else:
            # Rounding only, which differs by processor (1.14e-5 was seen without AVX512).
            np.testing.assert_allclose(a / a.max(), b / b.max(), atol=1e-4)
    assert (whole.max(axis=(1, 2)) > 0).any(), "no map to compare"


def test_layercam_equals_gradcam_plus_plus_at_the_pooled_map(explained):
    *_, maps = explained
    two = ("layercam", "gradcam_plus_plus")
    assert largest_difference(maps, "post_activation", two) <= 1e-6


def test_all_of_the_evidence_passes_through_stage4(explained):
    _, model, _, films, _, roles, _ = explained
    stage4 = roles["stage4"]
    trunk = [model.get_layer(name) for name in layers.feeding(model)["logits"]]
    assert stage4 in trunk and model.get_layer("film") in trunk
    later = [x for x in trunk if model.layers.index(x) > model.layers.index(stage4)]
    maps = [x for x in later if len(x.output.shape) == 4]
    assert maps and all(x.output.shape[1] < stage4.output.shape[1] for x in maps)
    # The rest of the network from this map alone gives the same logits: nothing passes beside it.
    rest = keras.Model(stage4.output, model.output)
    found = rest(keras.Model(model.input, stage4.output)(films))
    np.testing.assert_allclose(found, model(films), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("average_pool", "is not a map"), ("no_such_layer", "no such layer"),
    ],
)  # fmt: skip
def test_a_layer_that_cannot_be_explained_is_refused_with_candidates(backbone, wrong, why):
    name, model = backbone
    with pytest.raises(ValueError, match=rf"layer '{wrong}' of {name}: .*{why}.* e\.g\. \w+"):
        layers.select(model, name, ["post_activation"], [wrong])
    other = model.layers[-6].name
    assert list(layers.select(model, name, ["post_activation"], [other])) == [
        "post_activation",
        other,
    ]


def test_the_two_methods_differ_before_the_pooled_map(explained):
    # Otherwise the identity above would be true of anything. One of the layers may be blank for
    # every film (linear and mostly negative), but not both.
    *_, maps = explained
    two = ("layercam", "gradcam_plus_plus")
    gaps = [largest_difference(maps, role, two) for role in ("auto_conv", "prev_conv")]
    assert np.nanmax(gaps) > 1e-3


def test_a_map_does_not_depend_on_its_batch(explained):
    """Neither on its size, nor on the order, nor on the place in it, but for rounding."""
    _, model, data, _, _, roles, maps = explained
    explain = explainer.Explainer(model, roles, methods=["layercam"])
    reverse = type(data)(data.images, data.rows[::-1], data.labels[::-1])
    for batch_size in (5, 6):
        other = explain(reverse, list("fedcba"), batch_size=batch_size)
        for role in roles:
            a, b = maps.maps[role, "layercam"], other.maps[role, "layercam"][::-1]
            gap = np.abs(a - b) / a.max()
            # Another order of summation can switch a ReLU whose input is nearly 0, between a layer
            # and the logits: rarely, and by what one of hundreds of channels adds to a cell.
            assert gap.max() < (1e-5 if role == "post_activation" else 1e-2)
            assert gap.mean() < 1e-4


def test_attribution_leaves_the_model_as_it_was(explained):
    _, model, data, _, _, roles, maps = explained
    weights = [w.copy() for w in model.get_weights()[-6:]]
    flags = [layer.trainable for layer in model.layers]
    again = explainer.Explainer(model, roles)(data, list("abcdef"), batch_size=4)
    assert flags == [layer.trainable for layer in model.layers]
    assert all((a == b).all() for a, b in zip(weights, model.get_weights()[-6:], strict=True))
    for key, stack in maps.maps.items():  # the explainer floor: the same checkpoint twice
        assert np.array_equal(stack, again.maps[key])


def test_freezing_stages_and_batch_norm(backbone):
    _, model = backbone
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    others = [x for x in backbones.backbone_layers(model) if x.weights and x not in norms]
    backbones.set_trainable(model, from_stage=None)
    assert not any(layer.trainable for layer in backbones.backbone_layers(model))
    assert len(model.trainable_weights) == 2  # kernel and bias of the logits
    backbones.set_trainable(model, from_stage=1, batch_norm="frozen")
    assert all(x.trainable for x in others) and not any(x.trainable for x in norms)
    backbones.set_trainable(model, from_stage=1, batch_norm="trainable")
    assert all(x.trainable for x in [*others, *norms])
    backbones.set_trainable(model, from_stage=5)
    learning = [x for x in others if x.trainable]
    assert 0 < len(learning) < len(others)
    assert {tuple(x.output.shape[1:3]) for x in learning} == {(5, 5)}
    backbones.set_trainable(model, from_stage=1, batch_norm="trainable")


def test_a_second_instance_has_the_same_roles(backbone):
    name, model = backbone
    if name != "inceptionv3":
        pytest.skip("only InceptionV3 numbers its layers over the process")
    roles = layers.role_layers(backbones.build(name, size=SIZES[name], classes=5), name)
    assert roles["post_activation"].name == "mixed10"
    assert roles["auto_conv"].name != layers.role_layers(model, name)["auto_conv"].name
    assert roles["auto_conv"].output.shape[-1] == 192


def test_a_weights_file_round_trips(backbone, tmp_path):
    name, _ = backbone
    if name != "resnet50v2":
        pytest.skip("one backbone is enough for the file format")
    keras.utils.set_random_seed(11)
    source = backbones.build_backbone(name, size=64)
    source.save_weights(tmp_path / "own.weights.h5")
    model = backbones.build(name, size=96, classes=3, weights=str(tmp_path / "own.weights.h5"))
    for weight, loaded in zip(source.weights, model.weights, strict=False):
        assert weight.path == loaded.path
        np.testing.assert_array_equal(weight, loaded)
    (tmp_path / "bad.weights.h5").write_bytes(b"not a weights file")
    with pytest.raises(ValueError, match="does not fit ResNet50V2"):
        backbones.build(name, size=96, classes=3, weights=str(tmp_path / "bad.weights.h5"))


def test_logits_and_maps_are_float32_after_mixed_precision(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = backbones.build("resnet50v2", size=64, classes=3)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.output.dtype == "float32"
    roles = {"post_activation": layers.role_layers(model, "resnet50v2")["post_activation"]}
    run = shared_pass.activations_and_gradients(model, list(roles.values()))
    logits, (activations,), (gradients,) = run(tf.zeros((2, 64, 64, 3)), tf.constant([0, 1]))
    assert {logits.dtype, activations.dtype, gradients.dtype} == {tf.float32}

    # Its checkpoint explained as the study does it: in a float32 graph, whatever trained it.
    model.save(tmp_path / "mixed.keras")
    exact = backbones.build("resnet50v2", size=64, classes=3)
    backbones.load_weights(exact, tmp_path / "mixed.keras")
    for one, other in zip(model.get_weights(), exact.get_weights(), strict=True):
        assert other.dtype == np.float32
        np.testing.assert_array_equal(one, other)
    roles = {"post_activation": layers.role_layers(exact, "resnet50v2")["post_activation"]}
    films = Films(np.full((2, 64, 64), 90, np.uint8), np.arange(2), np.array([0, 1]))
    maps = explainer.Explainer(exact, roles)(films, ["a", "b"]).maps
    assert all(each.dtype == np.float32 and np.isfinite(each).all() for each in maps.values())
