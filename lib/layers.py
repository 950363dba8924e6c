"""Which layers are explained: the roles of the study, or any other layer by name."""

from collections.abc import Sequence
from difflib import get_close_matches

import keras

from lib.architectures import ARCHITECTURES, ROLES


def _made_by(tensor):
    """The operation of a functional graph that made a tensor."""
    return tensor._keras_history.operation


def _read_by(tensor) -> list:
    """The tensors that the operation behind a tensor reads."""
    history = tensor._keras_history  # a shared layer has a node for every call
    return history.operation._inbound_nodes[history.node_index].input_tensors


def feeding(model: keras.Model) -> dict[str, frozenset[str]]:
    """Operations that feed the output, each with those that every path to it passes through.

    Returns
    -------
    dict of str to frozenset of str
        Names, from the input to the output; the sets (dominators) hold the operation itself.
    """
    found: dict[str, frozenset[str]] = {}
    stack = [model.output]
    while stack:
        tensor = stack[-1]
        name, sources = _made_by(tensor).name, _read_by(tensor)
        waiting = [each for each in sources if _made_by(each).name not in found]
        if name in found or not waiting:
            stack.pop()
            through = [found[_made_by(each).name] for each in sources]
            passed = frozenset.intersection(*through) if through else frozenset()
            found.setdefault(name, passed | {name})
        else:
            stack += waiting
    return found


def _is_map(layer: keras.Layer) -> bool:
    return not isinstance(layer.output, list) and len(layer.output.shape) == 4


def _before_final_stage(model: keras.Model, final_height: int) -> keras.Layer:
    """The last layer of the next finer resolution that all of the evidence passes through."""
    graph = feeding(model)
    trunk = graph[_made_by(model.output).name]
    maps = [model.get_layer(name) for name in graph if name in trunk]
    finer = [layer for layer in maps if _is_map(layer) and layer.output.shape[1] > final_height]
    return finer[-1]


def role_layers(model: keras.Model, name: str) -> dict[str, keras.Layer]:
    """The layer of each role, found by position, with its channel count asserted.

    Parameters
    ----------
    model : keras.Model
        Classifier from `lib.models.build`.
    name : str
        Key of `lib.architectures.ARCHITECTURES`.

    Raises
    ------
    ValueError
        If a layer does not have the channels that its role must have.
    """
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    (into_pool,) = _read_by(model.get_layer("average_pool").output)
    pooled = _made_by(into_pool)
    found = {
        "stage4": _before_final_stage(model, pooled.output.shape[1]),
        "auto_conv": convolutions[-1],
        "prev_conv": convolutions[-2],
        "post_activation": pooled,
    }
    for role in ROLES:
        channels, expected = found[role].output.shape[-1], ARCHITECTURES[name].channels[role]
        if channels != expected:
            raise ValueError(
                f"{name}: role {role} is layer {found[role].name!r} with {channels} channels, "
                f"expected {expected}; this Keras orders the layers differently"
            )
    return found


def select(
    model: keras.Model, name: str, roles: Sequence[str], others: Sequence[str] = ()
) -> dict[str, keras.Layer]:
    """The layers of some roles and further layers by name.

    Raises
    ------
    ValueError
        If a name is no layer of the model, its output is no map, or it does not feed the logits;
        the message lists candidates.
    """
    known = role_layers(model, name)
    return {role: known[role] for role in roles} | {
        other: layer_by_name(model, other) for other in others
    }


def layer_by_name(model: keras.Model, name: str) -> keras.Layer:
    """A layer that can be explained: its output is a map that feeds the logits.

    Raises
    ------
    ValueError
        If there is none of that name; the message lists candidates.
    """
    graph = feeding(model)
    maps = [layer.name for layer in model.layers if _is_map(layer) and layer.name in graph]
    if name in maps:
        return model.get_layer(name)
    if name not in [layer.name for layer in model.layers]:
        why = "no such layer"
    elif name in graph:
        why = f"its output of shape {model.get_layer(name).output.shape} is not a map"
    else:
        why = "it does not feed the logits"
    close = get_close_matches(name, maps, n=3) or maps[-3:]
    raise ValueError(
        f"layer {name!r} of {model.name}: {why}. Expected one of {len(maps)} layers with a map "
        f"(films, height, width, channels), e.g. {', '.join(close)}"
    )
