"""The layers of flat graphs: which are explained, and whether those of two graphs are the same.

Explained are the study's roles where a classifier has them, or layers by name.
"""

import json
from collections.abc import Sequence

import keras
import numpy as np
import pandas as pd

from lib.checkpoint_audit.networks.files import CheckpointRefused
from lib.models.layers import feeding, found_roles, layer_by_name, made_by, maps_of

AUDITED = ("stage4", "auto_conv", "post_activation")
_LEARNING_ONLY = ("momentum", "trainable", "seed", "name", "batch_shape")
_PRECISION = ("dtype", "quantization_config")  # may differ: int8 is one thing to audit
_OTHERWISE = (
    "Layers can be compared only where both models have the same; maps that you make of each by "
    "itself can be compared all the same: MAPS_BEFORE= and MAPS_AFTER=."
)


def audited_layers(model: keras.Model, names: Sequence[str] = ()) -> dict:
    """The layers of an audit: those that are named, or the roles of `AUDITED` that the model has.

    A layer that has two roles is explained once, as the later one. A ValueError if a name is no
    layer with a map, or, without names, the model has no map or reads its last one as a sequence of
    tokens.
    """
    if names:
        return {name: layer_by_name(model, name) for name in dict.fromkeys(names)}
    found = found_roles(model)
    pooled = found["post_activation"]
    graph = feeding(model)
    made = {operation.name: operation for operation in model.operations}
    order = list(graph)
    later = [made[name] for name in order[order.index(pooled.name) + 1 :]]
    tokens = [x for x in later if not isinstance(x.output, list) and len(x.output.shape) == 3]
    if tokens:
        raise ValueError(
            f"{model.name}: after its last map {pooled.name!r} it computes with a sequence "
            f"({tokens[0].name!r} of shape {tokens[0].output.shape[1:]}), as vision transformers "
            "do. The methods here explain maps that are pooled or flattened; to explain that map "
            f"all the same, say LAYER={pooled.name}."
        )
    last = {layer.name: role for role, layer in found.items() if role in AUDITED}
    return {role: found[role] for role in AUDITED if role in last.values()}


def layer_table(model: keras.Model, chosen: dict) -> pd.DataFrame:
    """All layers that could be explained, from input to output, with the roles they have.

    ``layer``, ``kind``, ``height``, ``width``, ``channels``, ``all_evidence`` (whether every path
    to the logits passes through it), ``role`` (of all that are found), ``explained``.
    """
    through = feeding(model)[made_by(model.output).name]
    roles = {}
    for role, layer in found_roles(model).items():
        roles.setdefault(layer.name, []).append(role)
    explained = {layer.name for layer in chosen.values()}
    rows = [
        (x.name, type(x).__name__, *x.output.shape[1:], x.name in through,
         ", ".join(roles.get(x.name, ())), x.name in explained)
        for x in maps_of(model)
    ]  # fmt: skip
    columns = ["layer", "kind", "height", "width", "channels", "all_evidence", "role", "explained"]
    return pd.DataFrame(rows, columns=columns)


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
    """Refuse two flat graphs, called `names`, that differ in more than their weights."""
    (one, two), first, second = names, _operations(before), _operations(after)
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
        shapes = [tuple(tensor.shape) for tensor in keras.tree.flatten(operation.output)]
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
