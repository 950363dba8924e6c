"""Which layers of any classifier are explained: the study's roles where it has them, or names."""

from collections.abc import Sequence

import keras
import pandas as pd

from lib.models.layers import feeding, found_roles, layer_by_name, made_by, maps_of

AUDITED = ("stage4", "auto_conv", "post_activation")


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
