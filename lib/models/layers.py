"""Which layers are explained: the roles of the study, found by position, or any layer by name."""

from collections.abc import Sequence
from difflib import get_close_matches
from math import prod

import keras

from lib.study.architectures import ARCHITECTURES, ROLES


def made_by(tensor):
    """The operation of a functional graph that made a tensor."""
    return tensor._keras_history.operation


def read_by(tensor) -> list:
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
        name, sources = made_by(tensor).name, read_by(tensor)
        waiting = [each for each in sources if made_by(each).name not in found]
        if name in found or not waiting:
            stack.pop()
            through = [found[made_by(each).name] for each in sources]
            passed = frozenset.intersection(*through) if through else frozenset()
            found.setdefault(name, passed | {name})
        else:
            stack += waiting
    return found


def _is_map(operation) -> bool:
    return not isinstance(operation.output, list) and len(operation.output.shape) == 4


def maps_of(model: keras.Model) -> list:
    """Operations with a map of more than one cell that feeds the output, from input to output.

    What is done to the films before the first layer that learns is left out: its map is the film.
    """
    made = {operation.name: operation for operation in model.operations}
    graph = [made[name] for name in feeding(model)]
    learns = [
        bool(getattr(x, "weights", ())) and not isinstance(x, keras.layers.Normalization)
        for x in graph
    ]
    after = graph[learns.index(True) :] if any(learns) else []
    return [x for x in after if _is_map(x) and prod(x.output.shape[1:3]) > 1]


def found_roles(model: keras.Model) -> dict:
    """The layer of each role of `ROLES` that a flat classifier has, found by position.

    Returns
    -------
    dict of str to keras.Operation
        ``post_activation`` is the last map that all of the evidence passes through, which is what
        pooling or flattening reads; ``stage4`` the last such map of the next finer resolution;
        ``auto_conv`` and ``prev_conv`` the last and last but one ``Conv2D`` of ``model.layers``
        with more than one cell (squeeze-and-excite branches have one). A role may be missing, and
        two may be one layer.

    Raises
    ------
    ValueError
        If no map lies between films and logits.
    """
    maps = maps_of(model)
    through = feeding(model)[made_by(model.output).name]
    # A padded map has a border that is no place of the film, and shifts all others.
    framed = (keras.layers.ZeroPadding2D, keras.layers.Cropping2D)
    trunk = [x for x in maps if x.name in through and not isinstance(x, framed)]
    if not trunk:
        raise ValueError(
            f"{model.name}: no layer that all of the evidence passes through has a map (films, "
            "height, width, channels) of more than one cell; expected a convolutional network."
        )
    pooled = trunk[-1]
    finer = [x for x in trunk if x.output.shape[1] > pooled.output.shape[1]]
    names = {operation.name for operation in maps}
    convolutions = [
        x for x in model.layers if isinstance(x, keras.layers.Conv2D) and x.name in names
    ]
    return {
        **({"stage4": finer[-1]} if finer else {}),
        **({"auto_conv": convolutions[-1]} if convolutions else {}),
        **({"prev_conv": convolutions[-2]} if len(convolutions) > 1 else {}),
        "post_activation": pooled,
    }


def role_layers(model: keras.Model, name: str) -> dict[str, keras.Layer]:
    """The layer of each role of a backbone, by `found_roles`, with its channel count asserted."""
    found = found_roles(model)
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
    """The layers of some roles and others.

    Parameters
    ----------
    model : keras.Model
    name : str
        Key of `lib.study.architectures.ARCHITECTURES`.
    roles : sequence of str
        As of `role_layers`.
    others : sequence of str
        Names of further layers, as of `layer_by_name`.

    Raises
    ------
    ValueError
        As `role_layers` and `layer_by_name`.
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
    graph, made = feeding(model), {operation.name: operation for operation in model.operations}
    maps = [x.name for x in made.values() if _is_map(x) and x.name in graph]
    if name in maps:
        return made[name]
    if name not in made:
        why = "no such layer"
    elif name in graph:
        why = f"its output of shape {made[name].output.shape} is not a map"
    else:
        why = "it does not feed the logits"
    close = get_close_matches(name, maps, n=3) or maps[-3:]
    raise ValueError(
        f"layer {name!r} of {model.name}: {why}. Expected one of {len(maps)} layers with a map "
        f"(films, height, width, channels), e.g. {', '.join(close)}"
    )
