"""What a classifier expects of the grey levels of a film: found in its graph, or given by name.

Every convention in use is affine in the pixels, so it is one layer at the front of the graph. The
numbers are not copied from Keras but read off its own functions.
"""

from collections.abc import Callable
from difflib import get_close_matches
from functools import partial

import keras
import numpy as np
import pandas as pd

from lib.checkpoint_audit.labels import output_table
from lib.checkpoint_audit.networks.graph import Flat
from lib.models.layers import feeding

MODES = ("none", "unit", "tf", "torch", "caffe")
"""0 to 255 as they are; 0 to 1; −1 to 1; 0 to 1, less ImageNet's mean, by its standard deviation;
less ImageNet's mean in BGR."""
_ARITHMETIC = ("Rescaling", "Normalization")
_NO_ARITHMETIC = ("GetItem", "Cast", "Reshape", "Transpose", "Flip")
_LEVELS = (0.0, 100.0, 255.0)
_BATCH = 16


class PreprocessingUnknown(ValueError):
    """It is neither inside the model nor given; the message offers what was measured."""


def affine(name: str, *, channels: int) -> tuple[list[float], list[float]]:
    """Scale and offset per channel (1 or 3) of a way of preprocessing: pixels · scale + offset.

    `name` is one of `MODES`, or a module of ``keras.applications`` whose ``preprocess_input`` is
    meant. A ValueError if there is no such way, or one channel is to be treated in three ways.
    """
    pixels = np.repeat(np.array(_LEVELS, np.float32).reshape(-1, 1, 1, 1), 3, axis=-1)
    low, middle, high = np.asarray(_function(name)(pixels), np.float64).reshape(3, 3)
    scale = (high - low) / (_LEVELS[2] - _LEVELS[0])
    if not np.allclose(low + scale * _LEVELS[1], middle, atol=1e-4):
        raise ValueError(
            f"preprocessing {name!r}: not affine in the pixels; bring it into the model"
        )
    if channels == 1:
        if np.ptp(scale) > 1e-9 or np.ptp(low) > 1e-9:
            raise ValueError(
                f"preprocessing {name!r} has statistics of three colours, and the model takes one "
                "channel. Expected none, unit or tf."
            )
        scale, low = scale[:1], low[:1]
    return scale.tolist(), low.tolist()


def _function(name: str) -> Callable[[np.ndarray], np.ndarray]:
    own = {"none": np.copy, "unit": lambda pixels: pixels / np.float32(255)}
    if name in own:
        return own[name]
    if name in MODES:
        return partial(keras.applications.imagenet_utils.preprocess_input, mode=name)
    known = [x for x in dir(keras.applications) if x.islower() and x != "imagenet_utils"]
    modules = [x for x in known if hasattr(getattr(keras.applications, x), "preprocess_input")]
    if name not in modules:
        close = get_close_matches(name.lower(), [*MODES, *modules], n=1)
        hint = f"Did you mean {close[0]}? " if close else ""
        raise ValueError(
            f"preprocessing {name!r}: {hint}Expected one of {', '.join(MODES)}, or a module of "
            f"keras.applications: {', '.join(modules)}."
        )
    return getattr(keras.applications, name).preprocess_input


def inside(graph: keras.Model) -> list[str]:
    """Arithmetic on films before the first layer that learns, such as "Rescaling 'unit'"."""
    made = {operation.name: operation for operation in graph.operations}
    found = []
    for operation in (made[name] for name in feeding(graph)):
        kind = type(operation).__name__
        is_layer = isinstance(operation, keras.layers.Layer)
        if is_layer and operation.weights and kind not in _ARITHMETIC:
            break
        if operation.name != "preprocess" and (
            kind in _ARITHMETIC or (not is_layer and kind not in _NO_ARITHMETIC)
        ):
            found.append(f"{kind} {operation.name!r}")
    return found


def trial(flat: Flat, films: np.ndarray, labels: np.ndarray, *, channels: int) -> pd.DataFrame:
    """How well a classifier does under every way of preprocessing: a hint, never a choice.

    `flat` is made without ``rescale``, `films` are uint8 (n, size, size), `labels` classes (n,),
    which give accuracy, or what is known of findings, float (n, findings), which gives the mean
    AUC. Columns ``preprocessing``, ``score``, ``films``; best first.
    """
    rows, findings = [], [str(x) for x in range(labels.shape[-1])]
    for name in MODES:
        try:
            scale, offset = affine(name, channels=channels)
        except ValueError:  # three colours, one channel
            continue
        made = []
        for start in range(0, len(films), _BATCH):
            grey = films[start : start + _BATCH, ..., None].astype(np.float32)
            grey = np.repeat(grey, 3, axis=-1) * np.float32(scale) + np.float32(offset)
            made.append(flat.graph.predict_on_batch(grey))
        logits = np.concatenate(made)
        if labels.ndim == 1:
            score = (logits.argmax(axis=1) == labels).mean()
        else:
            score = output_table(logits, labels, findings)["auc"].mean()
        rows.append([name, score, len(films)])
    table = pd.DataFrame(rows, columns=["preprocessing", "score", "films"])
    return table.sort_values("score", ascending=False, kind="stable", ignore_index=True)
