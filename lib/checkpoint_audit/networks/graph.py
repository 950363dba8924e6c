"""Any classifier as one flat graph from films to logits, so that every layer of it can be reached.

A backbone that sits in a model as one layer hides its convolutions from attribution, and a softmax
at the end makes gradients vanish. Here nested models are unfolded and the final activation is taken
off; layers that do nothing at inference (dropout, augmentation) are left out. What remains computes
the same, in float32 whatever precision the model was trained in.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from lib.checkpoint_audit.networks.files import CheckpointRefused
from lib.models import settings
from lib.models.layers import made_by, read_by

settings.apply()

# Augmentation beyond "Random…". Not AutoContrast, which changes films at inference as well.
_AUGMENTS = ("AugMix", "CutMix", "MaxNumBoundingBoxes", "MixUp", "RandAugment", "Solarization")
_IDLE = ("Dropout", "GaussianNoise", "ActivityRegularization", "Identity", *_AUGMENTS)
_PROBABILITY = ("softmax", "log_softmax")


@dataclass(frozen=True)
class Flat:
    """A classifier as one graph.

    ``graph`` takes films (n, h, w, 3) float32, three equal channels, to logits (n, classes), with
    the weights of the model. ``output`` is what the model returned: "softmax", "log_softmax",
    "logits" or "sigmoids" of several outputs, "sigmoid" or "logit" of one. Several sigmoids are
    several questions: each logit is the score of a finding of its own.
    """

    graph: keras.Model
    output: str


def flatten(
    model: keras.Model,
    *,
    size: int | None = None,
    rescale: tuple[Sequence[float], Sequence[float]] | None = None,
) -> Flat:
    """Unfold a classifier of films, or refuse it; the model itself stays as it is.

    One output of a binary classifier, z, becomes two logits, (−z/2, z/2): their softmax is the
    sigmoid of z, and the evidence against the second class is that for the first. `size` is the
    side in pixels, for models that take any; `rescale`, (scale, offset), what is done to the films
    first, a number per channel of the model: pixels · scale + offset.
    """
    shape = input_shape(model, size)
    films = keras.Input((*shape[:2], 3), name="film")
    x = films if shape[2] == 3 else films[..., :1]
    if rescale is not None:
        scale, offset = (list(map(float, part)) for part in rescale)
        x = keras.layers.Rescaling(scale, offset=offset, name="preprocess")(x)
    copier = _Copier(model, taken={"film", "preprocess", "less_half", "half", "two_logits"})
    (scores,) = keras.tree.flatten(copier.replay(model, x))  # one, maybe in a list or a mapping
    logits, output = copier.logits(scores)
    if logits.shape[-1] == 1:
        output = {"logits": "logit"}.get(output, output)
        sides = [
            keras.layers.Rescaling(factor, name=name)(logits)
            for factor, name in ((-0.5, "less_half"), (0.5, "half"))
        ]
        logits = keras.layers.Concatenate(name="two_logits")(sides)
    graph = keras.Model(films, logits, name=model.name)
    for original, copy in copier.copies.values():
        if getattr(original, "weights", None):
            _put(copy, original.get_weights())
    return Flat(graph, output)


def weights_of(graph: keras.Model) -> list[list[np.ndarray]]:
    """The weights of every layer of a graph, as `put_weights` takes them."""
    return [layer.get_weights() for layer in graph.layers]


def put_weights(graph: keras.Model, weights: list[list[np.ndarray]]) -> None:
    """Give a graph the weights of another of the same layers."""
    for layer, arrays in zip(graph.layers, weights, strict=True):
        _put(layer, arrays)


def _put(layer: keras.layers.Layer, arrays: list[np.ndarray]) -> None:
    layer.set_weights(arrays)
    if isinstance(layer, keras.layers.Normalization):
        layer.finalize_state()  # it computes with copies of its weights


def input_shape(model: keras.Model, size: int | None = None) -> tuple[int, int, int]:
    """Height, width and channels of the films that a model takes, refused if it takes others."""
    try:
        ends = len(model.inputs), len(model.outputs)
    except (AttributeError, TypeError, ValueError):  # subclassed, or never called
        ends = 0, 0
    if ends != (1, 1):
        raise CheckpointRefused(
            f"{model.name}: expected a functional or Sequential model with one input and one "
            f"output, found {type(model).__name__} with {ends[0]} and {ends[1]}."
        )
    shape = tuple(model.inputs[0].shape[1:])
    if len(shape) != 3 or shape[2] not in (1, 3, None):
        raise CheckpointRefused(
            f"{model.name}: takes inputs of shape {shape}, expected (height, width, 1 or 3 "
            "channels): films, channels last."
        )
    if None in shape[:2] and size is None:
        raise CheckpointRefused(
            f"{model.name}: takes films of any size. Say which one it was trained with: SIZE=224."
        )
    height, width = (side or size for side in shape[:2])
    if size is not None and {height, width} != {size}:
        raise CheckpointRefused(
            f"{model.name}: takes {height} × {width} pixels, found SIZE={size}. Leave it out."
        )
    if height != width:
        raise CheckpointRefused(
            f"{model.name}: takes {height} × {width} pixels; only square films can be audited."
        )
    return height, width, shape[2] or 3


class _Copier:
    """Copies operations of a model, and of the models in it, into one new graph."""

    def __init__(self, model: keras.Model, *, taken: set[str]) -> None:
        self.model, self.taken = model, set(taken)
        self.copies: dict[int, tuple] = {}  # by id of the original: original, copy
        self.origin: dict[str, object] = {}  # by name of the copy: original

    def replay(self, model: keras.Model, inputs):
        """Outputs of a model on symbolic inputs, through copies of its operations."""
        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                (inputs,) = keras.tree.flatten(inputs)
                inputs = self._call(layer, inputs, within=model.name)
            return inputs

        def call(operation, *arguments, **options):
            return self._call(operation, *arguments, within=model.name, **options)

        return model._run_through_graph(inputs, call_fn=call)

    def _call(self, operation, *arguments, within: str, **options):
        # Fixed at inference: a backbone called with training=False is, and so is all else.
        options = {key: value for key, value in options.items() if key not in ("training", "mask")}
        if isinstance(operation, keras.Sequential) or hasattr(operation, "_run_through_graph"):
            return self.replay(operation, arguments[0])
        if _idle(operation):
            return arguments[0]
        if id(operation) not in self.copies:
            name = self._name(operation.name, within)
            self.copies[id(operation)] = operation, _copied(operation, name=name)
            self.origin[name] = operation
        return self.copies[id(operation)][1](*arguments, **options)

    def _name(self, name: str, within: str) -> str:
        """The operation's own name, or with that of its model where two have the same."""
        found, number = name, 1
        while found in self.taken:
            number += 1
            found = f"{within}.{name}" if number == 2 else f"{within}.{name}.{number}"
        self.taken.add(found)
        return found

    def logits(self, output) -> tuple[object, str]:
        """What the final activation reads, and which activation it is."""
        name = self.model.name
        if len(output.shape) != 2:
            raise CheckpointRefused(
                f"{name}: returns {output.shape[1:]} for a film, expected one score per class."
            )
        last = made_by(output)
        while _activation(last) == "linear" and isinstance(last, keras.layers.Activation):
            (output,) = read_by(output)
            last = made_by(output)
        kind, count = _activation(last), output.shape[-1]
        allowed = ("sigmoid", "linear") if count == 1 else (*_PROBABILITY, "sigmoid", "linear")
        if kind not in allowed:
            found = f"its {count} output(s) end in {kind!r} ({last.name})"
            raise CheckpointRefused(
                f"{name}: {found}, expected {' or '.join(allowed)}. Save the model with logits or "
                "probabilities as its output."
            )
        if kind == "linear":
            return output, "logits"
        (before,) = read_by(output)
        if hasattr(last, "kernel"):  # an activation by itself is cut off
            original = self.origin[last.name]
            linear = _copied(original, name=last.name, activation="linear")
            self.copies[id(original)] = original, linear
            before = linear(before)
        return before, kind + "s" * (kind == "sigmoid" and count > 1)


def _copied(operation, **changes):
    """A new operation of the same configuration but for some changes."""
    config = operation.get_config()
    if isinstance(operation, keras.layers.Layer) and quantised(operation) is None:
        changes["dtype"] = "float32"
    name = changes["name"] if "name" in config else changes.pop("name")
    made = type(operation).from_config(config | changes)
    made.name = name  # operations such as x / 255 take none and would count anew
    return made


def _idle(operation) -> bool:
    name = type(operation).__name__
    augments = name.startswith("Random") and name != "RandomCrop"  # which crops at inference too
    drops = name.endswith("Dropout") or name.startswith("SpatialDropout")
    return augments or drops or name in _IDLE


def _activation(operation) -> str:
    """Name of the activation that an operation ends in."""
    name = type(operation).__name__
    if hasattr(operation, "activation"):
        return keras.activations.serialize(operation.activation)
    return {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid"}.get(
        name, name.lower() if name in ("ReLU", "Relu", "Tanh") else "linear"
    )


def quantised(layer: keras.layers.Layer) -> str | None:
    """Mode in which Keras has quantised a layer, such as "int8"; None where it has not."""
    return getattr(getattr(layer, "dtype_policy", None), "quantization_mode", None)
