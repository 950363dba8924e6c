"""A family of keras.applications that the study does not know, through the audit."""

import keras
import numpy as np
import pytest
from scipy.special import softmax
from tiny_models import films, pixels, shaken

from lib.checkpoint_audit.networks import graph as flat_graph
from lib.checkpoint_audit.networks import preprocessing
from lib.checkpoint_audit.networks.layers import audited_layers, require_same_architecture

pytestmark = pytest.mark.backbone
SIDE = 64


@pytest.fixture(scope="module")
def whole():
    """MobileNetV3Small with its own top: convolutions on one cell, then a softmax."""
    keras.utils.set_random_seed(2)
    model = keras.applications.MobileNetV3Small(
        weights=None, classes=3, input_shape=(SIDE, SIDE, 3), include_preprocessing=True
    )
    shaken(model, 2)
    return model


def test_its_softmax_is_taken_off_and_its_preprocessing_found(whole):
    made = flat_graph.flatten(whole)
    x = pixels(films(2, side=SIDE))
    np.testing.assert_allclose(softmax(made.graph(x), axis=1), whole(x), rtol=1e-4, atol=1e-5)
    assert made.output == "softmax"
    assert len(preprocessing.inside(made.graph)) == 1


def test_its_layers_are_maps_of_more_than_one_cell_that_lie_on_the_trunk(whole):
    graph = flat_graph.flatten(whole).graph
    found = audited_layers(graph)
    assert tuple(found["post_activation"].output.shape[1:]) == (2, 2, 576)
    assert tuple(found["auto_conv"].output.shape[1:]) == (2, 2, 576)
    assert found["stage4"].output.shape[1] == 4  # not the padded 7 × 7 of the layer after it


def test_nested_and_flat_are_one_architecture():
    def head(features):
        pooled = keras.layers.GlobalAveragePooling2D()(features)
        return keras.layers.Dense(3)(pooled)

    def backbone():
        return keras.applications.MobileNetV3Small(
            weights=None, include_top=False, input_shape=(SIDE, SIDE, 3)
        )

    flat, inner, inputs = backbone(), backbone(), keras.Input((SIDE, SIDE, 3))
    nested = keras.Model(inputs, head(inner(inputs, training=False)))
    graphs = [
        flat_graph.flatten(model).graph
        for model in (keras.Model(flat.input, head(flat.output)), nested)
    ]
    require_same_architecture(*graphs)
