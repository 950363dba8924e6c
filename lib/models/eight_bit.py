"""Weights of a backbone in eight bits a number, small enough to ship with the code.

Every kernel is stored as int8 with one float32 scale per output channel (symmetric rounding, so an
error is at most half a scale); batch normalisation and biases stay float32, because they are few
and their errors would not average out. The file is a NumPy archive that holds no pickle. Arrays are
named by the position of their layer, its kind and the weight, never by the layer's own name, which
in Keras carries a process-wide counter.
"""

import zipfile
from pathlib import Path

import keras
import numpy as np

from lib.study.artefacts import atomic, require
from lib.study.errors import ArtefactError

LARGEST = 25_000_000
"""Bytes that one file may have: every version of it stays in the repository's history."""
_AGAIN = (
    "Get the file that the repository ships (git checkout -- lib/models/shipped), or make it anew: "
    "make source-weights."
)


def quantise(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round a kernel to int8, -127 … 127, each output channel (last axis) on a scale of its own.

    The product with the scales, float32, is within half a scale of the kernel.
    """
    kernel = np.asarray(kernel, np.float32)
    scale = np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1))) / np.float32(127)
    safe = np.where(scale > 0, scale, 1)
    return np.rint(kernel / safe).clip(-127, 127).astype(np.int8), scale.astype(np.float32)


def restore(rounded: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Inverse of `quantise`, float32."""
    return rounded.astype(np.float32) * scale


def named_weights(backbone: keras.Model) -> dict[str, keras.Variable]:
    """Weights of a model by position: ``<number of the layer>.<its kind>.<weight>``.

    Only layers that have weights are counted, in the order of the model.
    """
    layers = [layer for layer in backbone.layers if layer.weights]
    return {
        f"{number:04d}.{type(layer).__name__}.{weight.name}": weight
        for number, layer in enumerate(layers)
        for weight in layer.weights
    }


def write(backbone: keras.Model, path: Path) -> None:
    """Write the weights of a backbone to `path` (.npz), atomically.

    Raises
    ------
    ValueError
        If a weight is not finite, or the file would be larger than `LARGEST`.
    """
    arrays = {}
    for name, weight in named_weights(backbone).items():
        value = weight.numpy().astype(np.float32)
        if not np.isfinite(value).all():
            raise ValueError(f"{name}: not finite, the training has failed; nothing is written")
        if value.ndim > 1:
            arrays[name], arrays[f"{name}.scale"] = quantise(value)
        else:
            arrays[name] = value
    with atomic(path) as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **arrays)
        if (size := temporary.stat().st_size) > LARGEST:
            raise ValueError(f"{path}: {size} bytes, at most {LARGEST} may be shipped")


def read_into(backbone: keras.Model, path: Path) -> None:
    """Fill a backbone from a file of `write`, whose hash must be the one in the record beside it.

    The backbone may have any input size; it is unchanged if anything does not fit.

    Raises
    ------
    ValueError
        If the file or its record is missing, the bytes are not those that were recorded, or an
        array has another name, type or shape than the backbone needs.
    """
    path = Path(path)
    try:
        require(path)
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except ArtefactError as error:
        raise ValueError(f"{error} {_AGAIN}") from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: no readable array archive ({error}). {_AGAIN}") from error
    weights, needed = named_weights(backbone), {}
    for name, weight in weights.items():
        kernel = len(weight.shape) > 1
        needed[name] = "int8" if kernel else "float32", tuple(weight.shape)
        if kernel:
            needed[f"{name}.scale"] = "float32", tuple(weight.shape[-1:])
    found = {name: (str(array.dtype), array.shape) for name, array in arrays.items()}
    for name in [*needed, *found]:
        if found.get(name) != needed.get(name):
            raise ValueError(
                f"{path}: does not fit {backbone.name}: {name} is {_described(found.get(name))}, "
                f"expected {_described(needed.get(name))}. Was it made for another backbone? "
                f"{_AGAIN}"
            )
    for name, weight in weights.items():
        scale = arrays.get(f"{name}.scale")
        weight.assign(arrays[name] if scale is None else restore(arrays[name], scale))


def _described(array) -> str:
    return "absent" if array is None else f"{array[0]} of shape {tuple(array[1])}"
