"""Randomised weights, to see whether a map depends on what the network has learnt.

A method whose maps survive the loss of all that was learnt explains the film and not the model
(model-parameter randomisation, Adebayo et al. 2018, arXiv:1810.03292). The weights of each tensor
are permuted: every tensor keeps its distribution, so that activations keep their scale and a batch
normalisation keeps valid statistics, and nothing is left of the arrangement that was learnt.
"""

from collections.abc import Iterator

import keras
import numpy as np

from lib.models.backbones import backbone_layers, stage_of
from lib.study.names import RANDOMISATION_STEPS
from lib.study.seeds import derive


def cascade(model: keras.Model, *, seed: int) -> Iterator[str]:
    """Randomise a classifier in place, step by step from the head down.

    One seed for each tensor is derived by the tensor's position, so that names, which carry a
    process-wide counter, do not matter.

    Yields
    ------
    str
        Of `lib.study.names.RANDOMISATION_STEPS`, each when it is done; what an earlier step
        randomised stays so.
    """
    size, backbone = model.input_shape[1], backbone_layers(model)
    steps = [f"stage {stage_of(x, size)}" if x in backbone else "head" for x in model.layers]
    for step in RANDOMISATION_STEPS:
        for place, (layer, own) in enumerate(zip(model.layers, steps, strict=True)):
            if own == step:
                _permute(layer, seed, place)
        yield step


def _permute(layer: keras.Layer, seed: int, place: int) -> None:
    for number, weight in enumerate(layer.weights):
        values = weight.numpy()
        generator = np.random.default_rng(derive(seed, place, number))
        weight.assign(generator.permutation(values.ravel()).reshape(values.shape))


def randomise(model: keras.Model, *, seed: int) -> None:
    """Randomise all weights of any model in place, as the last step of `cascade` leaves them.

    What a Normalization was told about the grey levels of films is no learnt weight and stays.
    """
    for place, layer in enumerate(model.layers):
        if not isinstance(layer, keras.layers.Normalization):
            _permute(layer, seed, place)
