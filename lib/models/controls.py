"""Networks that no training made, as controls of what fine-tuning did to the weights.

Does it matter *where* the weights went, or only how far? Each tensor is moved as far as fine-tuning
moved it, in a random direction. And which part of the network moved the evidence? The head of one
checkpoint is put on the backbone of the other.
"""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from lib.models.backbones import HEAD, load_weights
from lib.models.randomise import randomise
from lib.study.seeds import derive

State = list[list[np.ndarray]]
"""Weights by layer."""


def load(model: keras.Model, name: str, files: Sequence[Path], *, seed: int) -> None:
    """Give a model the weights that a set of maps is made of.

    Parameters
    ----------
    model : keras.Model
        Changed in place.
    name : str
        Of the set of maps, such as "perturbed-s1".
    files : sequence of Path
        Checkpoints of its `lib.study.names.sources_of`, in their order.
    seed : int
        That of the study.

    Raises
    ------
    ValueError
        If a file is no checkpoint of this model.
    """
    kind = name.rpartition("-s")[0]
    load_weights(model, files[-1])
    if kind == "randomised":
        randomise(model, seed=derive(seed, "randomise", model.name))
    if len(files) == 1:
        return
    tuned = state(model)
    load_weights(model, files[0])
    if kind == "perturbed":
        perturb(model, tuned, seed=derive(seed, "perturb", model.name, name))
    else:
        swap(model, tuned, head=kind == "head_only")


def state(model: keras.Model) -> State:
    """The weights of every layer."""
    return [layer.get_weights() for layer in model.layers]


def perturb(model: keras.Model, tuned: State, *, seed: int) -> None:
    """Move each weight tensor as far as `tuned` lies from it, in a random direction.

    The statistics of a batch normalisation stay: they describe films and are not learnt, and a
    variance must not become negative. One seed for each tensor is derived by its position.
    """
    for place, (layer, values) in enumerate(zip(model.layers, tuned, strict=True)):
        for number, (weight, value) in enumerate(zip(layer.weights, values, strict=True)):
            if weight.name in ("moving_mean", "moving_variance"):
                continue
            start = weight.numpy()
            direction = np.random.default_rng(derive(seed, place, number)).normal(size=start.shape)
            far = np.linalg.norm((value - start).astype(float)) / np.linalg.norm(direction)
            weight.assign(start + far * direction)


def swap(model: keras.Model, tuned: State, *, head: bool) -> None:
    """Take the head, or else the backbone, from `tuned`."""
    for layer, values in zip(model.layers, tuned, strict=True):
        if (layer.name in HEAD) == head:
            layer.set_weights(values)
