"""Whether two flat graphs compute the same but for their weights."""

import json

import keras
import numpy as np

from lib.checkpoint_audit.files import CheckpointRefused
from lib.models.layers import made_by

_LEARNING_ONLY = ("momentum", "trainable", "seed", "name", "batch_shape")
_PRECISION = ("dtype", "quantization_config")  # may differ: int8 is one thing to audit


def swappable(before: keras.Model, after: keras.Model) -> bool:
    """Whether one graph can compute with the weights of the other, of the same architecture.

    Not where a layer was quantised, which gives it other weights, nor where the two normalise
    films by other statistics, which a compiled graph holds as constants.
    """
    kinds, norms = [], []
    for graph in (before, after):
        kinds.append([(w.shape, str(w.dtype)) for w in graph.weights])
        normalising = (x for x in graph.layers if isinstance(x, keras.layers.Normalization))
        norms.append([array for layer in normalising for array in layer.get_weights()])
    return kinds[0] == kinds[1] and all(map(np.array_equal, *norms))


def require_same_architecture(
    before: keras.Model, after: keras.Model, *, names: tuple[str, str] = ("BEFORE", "AFTER")
) -> None:
    """Check that two flat graphs compute the same but for their weights.

    A CheckpointRefused at the first operation that differs; it says `names`.
    """
    first, second = (_operations(graph) for graph in (before, after))
    one, two = names
    for number, (a, b) in enumerate(zip(first, second, strict=False), start=1):
        if a[1:] != b[1:]:
            raise CheckpointRefused(
                f"{one} and {two} are not of one architecture: operation {number} is "
                f"{_words(a)} in {one} and {_words(b)} in {two}{_differing(a, b)}. {_OTHERWISE}"
            )
    if len(first) != len(second):
        raise CheckpointRefused(
            f"{one} has {len(first)} operations and {two} {len(second)}; they are not of one "
            f"architecture. {_OTHERWISE}"
        )


_OTHERWISE = (
    "Layers can be compared only where both models have the same; maps that you make of each by "
    "itself can be compared all the same: MAPS_BEFORE= and MAPS_AFTER=."
)


def _operations(graph: keras.Model) -> list[tuple]:
    """Name, class, shape, settings and sources of every operation, in the order of the graph."""
    place = {operation.name: number for number, operation in enumerate(graph.operations)}
    found = []
    for operation in graph.operations:
        settings = {
            key: value
            for key, value in operation.get_config().items()
            if key not in (*_LEARNING_ONLY, *_PRECISION)
            and not key.endswith(("_initializer", "_regularizer", "_constraint"))
        }
        sources = [
            [place[made_by(tensor).name] for tensor in node.input_tensors] + _constants(node)
            for node in operation._inbound_nodes
        ]
        outputs = keras.tree.flatten(operation.output)
        shapes = [tuple(tensor.shape) for tensor in outputs]
        text = json.dumps(settings, sort_keys=True, default=str)
        found.append((operation.name, type(operation).__name__, shapes, text, sources))
    return found


def _constants(node) -> list[str]:
    """What an operation is called with beside tensors of the graph, such as 255 in x / 255."""
    given = keras.tree.flatten((node.arguments.args, node.arguments.kwargs))
    return [
        str(value if isinstance(value, slice) or value is Ellipsis else np.asarray(value))
        for value in given
        if not keras.utils.is_keras_tensor(value)
    ]


def _words(operation: tuple) -> str:
    name, kind, shapes, *_ = operation
    return f"{kind} {name!r} of shape {', '.join(str(shape[1:]) for shape in shapes)}"


def _differing(a: tuple, b: tuple) -> str:
    """The settings in which two operations of one kind differ."""
    if a[1] != b[1]:
        return ""
    one, two = json.loads(a[3]), json.loads(b[3])
    keys = [key for key in one | two if one.get(key) != two.get(key)]
    found = ", ".join(f"{key} {one.get(key)!r} and {two.get(key)!r}" for key in keys[:3])
    return f" ({found})" if found else " (they read other operations)"
