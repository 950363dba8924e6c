"""Strangers' models as one flat graph of logits: the same function, the layers in reach."""

import keras
import numpy as np
import pytest
from keras import layers as kl
from scipy.special import expit, softmax
from tiny_models import body, classifier, films, pixels, sequential, shaken

from lib.checkpoint_audit.networks import graph as flat_graph
from lib.checkpoint_audit.networks import preprocessing
from lib.checkpoint_audit.networks.files import CheckpointRefused
from lib.checkpoint_audit.networks.layers import (
    audited_layers,
    layer_table,
    require_same_architecture,
    swappable,
)
from lib.models.randomise import randomise

pytestmark = pytest.mark.network

DATA = films(6)
X = pixels(DATA)


def flat(model, **options):
    return flat_graph.flatten(model, **options)


def rounded(x):
    return np.round(np.asarray(x), 5)


@pytest.mark.parametrize("end", ["logits", "softmax", "layer", "activation", "op"])
@pytest.mark.parametrize("nested", [False, True])
def test_logits_are_what_the_final_softmax_reads(end, nested):
    model = classifier(end=end, nested=nested, dropout=0.5)
    made = flat(model)
    found = made.graph.predict(X, verbose=0)
    returned = model.predict(X, verbose=0)
    assert made.output == ("logits" if end == "logits" else "softmax")
    if end == "logits":
        np.testing.assert_allclose(found, returned, rtol=1e-4, atol=1e-5)
    else:
        np.testing.assert_allclose(softmax(found, axis=1), returned, rtol=1e-4, atol=1e-6)
        assert np.abs(found.sum(axis=1) - 1).max() > 1e-3
    assert not [x for x in made.graph.layers if isinstance(x, keras.Model)]


def test_nested_and_flat_models_of_one_architecture_are_one():
    one, other = flat(classifier(nested=True, dropout=0.3)), flat(classifier(end="softmax", seed=2))
    require_same_architecture(one.graph, other.graph)
    assert swappable(one.graph, other.graph)
    flat_graph.put_weights(one.graph, flat_graph.weights_of(other.graph))
    np.testing.assert_allclose(one.graph(X), other.graph(X), rtol=1e-5, atol=1e-6)


def test_a_sequential_model_with_names_that_occur_twice():
    model = sequential()
    made = flat(model)
    np.testing.assert_allclose(
        softmax(made.graph.predict(X, verbose=0), axis=1), model.predict(X, verbose=0), rtol=1e-4
    )
    names = [x.name for x in made.graph.layers]
    assert "scores" in names and "stack.scores" in names
    assert not [name for name in names if "flip" in name or "dropout" in name]


@pytest.mark.parametrize("wrap", [lambda y: [y], lambda y: {"scores": y}])
def test_an_output_in_a_list_or_a_mapping_is_one(wrap):
    inner = classifier()
    inner = keras.Model(inner.input, wrap(inner.output))
    made = flat(inner).graph(X)
    np.testing.assert_allclose(made, classifier()(X), rtol=1e-4, atol=1e-5)
    if isinstance(inner.output, list):
        stacked = keras.Sequential([keras.Input((32, 32, 3)), inner, kl.Softmax()])
        np.testing.assert_allclose(flat(stacked).graph(X), made, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "idle"),
    [
        ("AugMix", True), ("CutMix", True), ("MixUp", True), ("RandAugment", True),
        ("Solarization", True), ("RandomErasing", True), ("RandomGaussianBlur", True),
        ("AutoContrast", False), ("ContrastLimitedAdaptiveHistogramEqualization", False),
    ],
)  # fmt: skip
def test_augmentation_is_left_out_unless_it_acts_at_inference(kind, idle):
    films = keras.Input((32, 32, 3))
    x = body(getattr(kl, kind)()(films))
    model = keras.Model(films, kl.Dense(2)(kl.GlobalAveragePooling2D()(x)))
    made = flat(model).graph
    assert (kind in {type(layer).__name__ for layer in made.layers}) is not idle
    dull = 60 + X / 4  # low contrast, which the two would stretch
    np.testing.assert_allclose(
        made(dull, training=False), model(dull, training=False), rtol=1e-4, atol=1e-4
    )
    alone = np.asarray(getattr(kl, kind)()(dull, training=False))
    assert np.allclose(alone, dull) is idle


def test_one_channel_sees_one_of_the_three_equal_ones():
    model = classifier(channels=1)
    np.testing.assert_allclose(flat(model).graph(X), model(pixels(DATA, 1)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("end", ["sigmoid", "logits"])
def test_one_output_becomes_two_logits_whose_softmax_is_its_sigmoid(end):
    model = classifier(classes=1, end=end)
    made = flat(model).graph.predict(X, verbose=0)
    returned = model.predict(X, verbose=0)[:, 0]
    expected = returned if end == "sigmoid" else expit(returned)
    np.testing.assert_allclose(softmax(made, axis=1)[:, 1], expected, rtol=1e-4)
    np.testing.assert_allclose(made[:, 0], -made[:, 1])


def test_several_sigmoids_are_taken_off_and_leave_a_logit_each():
    model = classifier(classes=4, end="sigmoid")
    made = flat(model)
    assert made.output == "sigmoids"
    expected = model.predict(X, verbose=0)
    np.testing.assert_allclose(expit(made.graph.predict(X, verbose=0)), expected, rtol=1e-4)


def test_preprocessing_comes_first_and_is_that_of_keras():
    model = classifier(inside=False)
    for name in ("none", "unit", "tf", "torch", "caffe", "xception", "resnet", "densenet"):
        made = flat(model, rescale=preprocessing.affine(name, channels=3))
        if name == "unit":
            given = X / 255
        elif name in ("none", "tf", "torch", "caffe"):
            mode = keras.applications.imagenet_utils.preprocess_input
            given = X if name == "none" else mode(X.copy(), mode=name)
        else:
            given = getattr(keras.applications, name).preprocess_input(X.copy())
        np.testing.assert_allclose(made.graph(X), model(given), rtol=1e-3, atol=1e-3)


def test_preprocessing_inside_is_found():
    assert preprocessing.inside(flat(classifier()).graph) == ["Rescaling 'unit'"]
    assert preprocessing.inside(flat(classifier(inside=False)).graph) == []
    films = keras.Input((32, 32, 3))
    # Divided and shifted; the same and divided by colour; turned to BGR and shifted by colour.
    for family, operations in (("mobilenet_v2", 2), ("densenet", 3), ("vgg16", 1)):
        x = getattr(keras.applications, family).preprocess_input(films)
        x = kl.Dense(2)(kl.GlobalAveragePooling2D()(body(x)))
        found = preprocessing.inside(flat(keras.Model(films, x)).graph)
        assert len(found) >= operations, family


def test_adapted_normalisation_keeps_its_statistics():
    norm = kl.Normalization()
    norm.adapt(X)
    films = keras.Input((32, 32, 3))
    model = keras.Model(films, kl.Dense(2)(kl.Flatten()(body(norm(films)))))
    made = flat(model)
    np.testing.assert_allclose(made.graph(X), model(X), rtol=1e-4, atol=1e-5)
    randomise(made.graph, seed=0)
    mean = next(x for x in made.graph.layers if isinstance(x, kl.Normalization)).mean
    np.testing.assert_allclose(rounded(mean), rounded(norm.mean))


def test_mixed_precision_is_computed_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = classifier(end="activation")
    finally:
        keras.config.set_dtype_policy("float32")
    made = flat(model).graph
    assert {x.compute_dtype for x in made.layers} == {"float32"}
    np.testing.assert_allclose(
        softmax(made.predict(X, verbose=0), axis=1), model.predict(X, verbose=0), atol=0.02
    )


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"end": "relu"}, "end in 'relu'"),
        ({"channels": 4}, "1 or 3 channels"),
    ],
)  # fmt: skip
def test_what_is_no_classifier_of_films_is_refused(options, why):
    with pytest.raises(CheckpointRefused, match=why):
        flat(classifier(**options))


def test_inputs_and_outputs_of_other_shapes_are_refused():
    a, b = keras.Input((16, 16, 3)), keras.Input((16, 24, 3))
    wide, whole = keras.Model(b, body(b)), keras.Model(a, body(a))
    with pytest.raises(CheckpointRefused, match="16 × 24 pixels; only square"):
        flat(wide)
    with pytest.raises(CheckpointRefused, match=r"returns \(4, 4, 8\)"):
        flat(whole)
    with pytest.raises(CheckpointRefused, match="found Functional with 2 and 1"):
        pooled = [kl.GlobalAveragePooling2D()(x) for x in (a, b)]
        flat(keras.Model([a, b], kl.Concatenate()(pooled)))
    free = keras.Input((None, None, 3))
    model = keras.Model(free, kl.Dense(2)(kl.GlobalAveragePooling2D()(body(free))))
    with pytest.raises(CheckpointRefused, match="Say which one it was trained with: SIZE"):
        flat(model)
    assert flat(model, size=48).graph.input_shape == (None, 48, 48, 3)
    with pytest.raises(CheckpointRefused, match="found SIZE=64"):
        flat(classifier(), size=64)


def test_other_architectures_are_told_apart_at_the_first_operation():
    one = flat(classifier()).graph
    for other, why in (
        (classifier(classes=4), r"operation \d+ is Dense 'scores' of shape \(3,\) in BEFORE"),
        (classifier(inside=False), "operation 2 is Rescaling 'unit'"),
        (classifier(head="flatten"), "GlobalAveragePooling2D .* Flatten"),
    ):
        with pytest.raises(CheckpointRefused, match=why):
            require_same_architecture(one, flat(other).graph)
    films = keras.Input((32, 32, 3))
    stretched = keras.Model(films, kl.Dense(3)(kl.GlobalAveragePooling2D()(body(films / 200.0))))
    same = keras.Model(films, kl.Dense(3)(kl.GlobalAveragePooling2D()(body(films / 255.0))))
    with pytest.raises(CheckpointRefused, match="operation 2"):
        require_same_architecture(flat(same).graph, flat(stretched).graph)


def test_layers_are_found_by_position():
    found = audited_layers(flat(classifier(nested=True)).graph)
    assert {role: layer.name for role, layer in found.items()} == {
        "stage4": "norm", "post_activation": "last",
    }  # fmt: skip
    named = audited_layers(flat(classifier(nested=True)).graph, ["first"])
    assert list(named) == ["first"]
    flattened = audited_layers(flat(classifier(head="flatten")).graph)
    assert flattened["post_activation"].name == "last"
    graph = flat(sequential()).graph
    table = layer_table(graph, audited_layers(graph))
    assert table["kind"].tolist() == ["Conv2D", "MaxPooling2D", "Conv2D"]
    assert table["role"].tolist() == ["prev_conv", "stage4", "auto_conv, post_activation"]
    assert table["explained"].tolist() == [False, True, True] and table["all_evidence"].all()


def test_models_without_maps_or_with_tokens_are_refused():
    films = keras.Input((32, 32, 3))
    flat_net = keras.Model(films, kl.Dense(2)(kl.Flatten()(films)))
    with pytest.raises(ValueError, match="expected a convolutional network"):
        audited_layers(flat(flat_net).graph)
    x = kl.Conv2D(8, 8, strides=8, name="patches")(films)
    x = kl.Reshape((16, 8))(x)
    x = kl.MultiHeadAttention(2, 4)(x, x)
    tokens = keras.Model(films, kl.Dense(2)(kl.GlobalAveragePooling1D()(x)))
    graph = flat(tokens).graph
    with pytest.raises(ValueError, match=r"vision transformers .* LAYER=patches"):
        audited_layers(graph)
    assert list(audited_layers(graph, ["patches"])) == ["patches"]


def test_int8_layers_keep_their_own_graph():
    model = classifier(end="softmax", seed=3)
    before = flat(model)
    model.quantize("int8")
    after = flat(model)
    require_same_architecture(before.graph, after.graph)
    assert not swappable(before.graph, after.graph)
    np.testing.assert_allclose(
        softmax(after.graph.predict(X, verbose=0), axis=1), model.predict(X, verbose=0), rtol=1e-3
    )


def test_shared_layers_stay_shared():
    films, shared = keras.Input((32, 32, 3)), kl.Conv2D(3, 3, padding="same", name="twice")
    x = kl.GlobalAveragePooling2D()(shared(shared(films)))
    model = keras.Model(films, kl.Dense(2)(x))
    shaken(model, 5)
    made = flat(model)
    assert sum(x.name.startswith("twice") for x in made.graph.layers) == 1
    np.testing.assert_allclose(made.graph(X), model(X), rtol=1e-4, atol=1e-4)
