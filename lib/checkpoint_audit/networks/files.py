"""Keras checkpoints of any origin: read without running code from the file, or refused with why.

A ``.keras`` file is a ZIP archive of a graph in JSON and of weights in HDF5; an ``.h5`` file, as
Keras 2 wrote it, has the graph in an attribute. The graph is looked through before Keras sees it:
only classes of Keras itself are let in, none that brings code along. Keras's own ``safe_mode`` then
guards the loading a second time.
"""

import json
import re
import shlex
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py

_CONFIG, _WEIGHTS = "config.json", ("model.weights.h5", "model.weights.npz")
_LARGEST_GRAPH = 64 * 2**20  # bytes of JSON; NASNetLarge has less than 2 MiB
_BRING_CODE = {
    "Lambda": "is a Python function stored in the file",
    "__lambda__": "is a Python function stored in the file",
    "TFSMLayer": "runs a TensorFlow program from another place of the disk",
    "TorchModuleWrapper": "is a pickled PyTorch module",
    "JaxLayer": "is a stored JAX function",
    "FlaxLayer": "is a stored JAX function",
    "TFOpLambda": "is a call of TensorFlow, which Keras 3 has no layer for",
    "SlicingOpLambda": "is a call of TensorFlow, which Keras 3 has no layer for",
}
_AGAIN = "Copy or save the checkpoint again."
_WHOLE = "Save the whole model: model.save('name.keras')"
_FOREIGN = {
    ".pt": "PyTorch", ".pth": "PyTorch", ".ckpt": "PyTorch or TensorFlow", ".onnx": "ONNX",
    ".safetensors": "safetensors", ".tflite": "TensorFlow Lite", ".pkl": "pickled Python",
}  # fmt: skip
_UNUSED = ("compile_config", "build_config")  # loss and optimiser are not needed to explain


class CheckpointRefused(ValueError):
    """A file cannot be audited; the message says why and what to do."""


def check(path: Path) -> None:
    """Refuse a file without loading it: a matter of a second, TensorFlow is not needed."""
    _check_graph(path, _read_graph(path))


def load(path: Path):
    """The whole model of a ``.keras`` or ``.h5`` file, uncompiled; refused as by `check`."""
    check(path)
    import keras  # here: it takes half a minute, and most refusals do not need it

    from lib.models import settings

    settings.apply()
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever a foreign file makes Keras stumble over is a refusal
        # Keras tells from the outermost object to the innermost: the last reason is the cause.
        last = str(error).split("Exception encountered:")[-1].strip()
        reason = (last.splitlines() or [type(error).__name__])[0][:300]
        raise CheckpointRefused(
            f"{path}: Keras {keras.__version__} cannot load it ({reason}). {_anew(path)}"
        ) from error


def _read_graph(path: Path) -> dict:
    """The description of the graph, as it stands in the file."""
    try:
        _check_format(path)
        if path.suffix == ".keras":
            text = _of_archive(path)
        else:
            with h5py.File(path, "r") as file:
                text = file.attrs.get("model_config")
            if not isinstance(text, str | bytes):
                raise CheckpointRefused(f"{path}: holds weights without the graph. {_anew(path)}")
        if len(text) > _LARGEST_GRAPH:
            raise CheckpointRefused(
                f"{path}: its graph is described by {len(text)} bytes, expected at most "
                f"{_LARGEST_GRAPH}; no classifier needs so much text. Is it the file that you "
                "meant?"
            )
        graph = json.loads(text)
    except CheckpointRefused:
        raise
    except (ValueError, RecursionError) as error:
        raise CheckpointRefused(f"{path}: its graph is no JSON ({error}). {_AGAIN}") from error
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        kind = "ZIP archive" if path.suffix == ".keras" else "HDF5 file"
        raise CheckpointRefused(f"{path}: damaged or no {kind} ({error}). {_AGAIN}") from error
    if not isinstance(graph, dict) or "class_name" not in graph:
        raise CheckpointRefused(f"{path}: its graph describes no model. {_AGAIN}")
    return graph


def _of_archive(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if _CONFIG not in names or not set(_WEIGHTS) & set(names):
            raise CheckpointRefused(
                f"{path}: found an archive of {', '.join(names[:4]) or 'nothing'}, expected "
                f"{_CONFIG} and {_WEIGHTS[0]}. {_WHOLE}"
            )
        if broken := archive.testzip():
            raise CheckpointRefused(f"{path}: damaged ({broken} fails its check sum). {_AGAIN}")
        with archive.open(_CONFIG) as file:
            return file.read(_LARGEST_GRAPH + 1)


def _anew(path: Path) -> str:
    return (
        "Build the model anew of layers of Keras alone, then take its weights from the file and "
        f"save the whole: model.load_weights({str(path)!r}); model.save('name.keras')"
    )


def _check_format(path: Path) -> None:
    content = _content(path) if path.is_file() else ""
    endings = {"HDF5": (".h5", ".hdf5"), "Keras": (".keras",)}
    if not path.exists():
        why = "no such file. Check the path"
    elif path.is_dir() and (path / "saved_model.pb").exists():
        why = (
            "a SavedModel folder holds a compiled program, whose layers cannot be reached. Save "
            "the Keras model itself: model.save('name.keras')"
        )
    elif path.is_dir():
        why = "found a folder, expected a .keras file. Name the file"
    elif path.name.endswith(".weights.h5"):
        why = f"holds weights without the graph. {_anew(path)}"
    elif content in endings and path.suffix not in endings[content]:
        copy = path.with_suffix(endings[content][0])
        why = (
            f"found a file of {content}, expected a {copy.suffix} file by its name. Give it one: "
            f"cp {shlex.quote(str(path))} {shlex.quote(str(copy))}"
        )
    elif foreign := content if content not in ("", *endings) else _FOREIGN.get(path.suffix.lower()):
        why = (
            f"a file of {foreign}; only models of Keras can be audited. Build the same network in "
            "Keras, give it these weights by layer.set_weights, and save it: "
            "model.save('name.keras')"
        )
    elif path.suffix not in (".keras", ".h5", ".hdf5"):
        why = f"expected a .keras or .h5 file. {_WHOLE}"
    else:
        return
    raise CheckpointRefused(f"{path}: {why}")


def _content(path: Path) -> str:
    """What a file is by its first bytes, whatever its name; "" where that is not known."""
    with path.open("rb") as file:
        start = file.read(8)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if any(name.endswith("/data.pkl") for name in names):
            return "PyTorch"
        return "Keras" if _CONFIG in names else ""
    if start == b"\x89HDF\r\n\x1a\n":
        return "HDF5"
    if start[:1] == b"\x80" and 2 <= start[1] <= 5:
        return "pickled Python, such as PyTorch's"
    if start[4:] == b"TFL3":
        return "TensorFlow Lite"
    return "ONNX" if start[:1] == b"\x08" and start[2:3] == b"\x12" else ""


def _described(value: Any) -> Iterator[dict]:
    """Every object that a description names, from the outside in."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if isinstance(value.get("class_name"), str):
                yield value
            waiting += [part for key, part in value.items() if key not in _UNUSED]
        elif isinstance(value, list):
            waiting += value


def _check_graph(path: Path, graph: dict) -> None:
    for found in _described(graph):
        name, module = found["class_name"], found.get("module")
        config = found.get("config")
        label = config.get("name") if isinstance(config, dict) else None
        where = f"{path}: {name}" + (f" {label!r}" if label and label != name else "")
        if name in _BRING_CODE:
            raise CheckpointRefused(
                f"{where} {_BRING_CODE[name]}, and code from a file is never run here. Take a "
                f"layer of Keras in its place, such as Rescaling for a division. {_anew(path)}"
            )
        package, registered = str(module or "keras").split(".")[0], found.get("registered_name")
        origin = module or registered
        foreign = package not in ("keras", "builtins") or ">" in str(registered)
        unknown = module is None and not name.startswith("__") and name not in _keras_names()
        if foreign or unknown:
            raise CheckpointRefused(
                f"{where}{f' of {origin}' if origin else ''} is not a class of Keras, and its code "
                "is not in the file. Only models of Keras's own layers can be audited. "
                + _anew(path)
            )


@cache
def _keras_names() -> set[str]:
    """Public names of the installed Keras, from its own lists: importing it takes half a minute."""
    lists = Path(find_spec("keras").origin).parent.glob("*/__init__.py")
    found = {name for file in lists for name in re.findall(r"\bas (\w+)", file.read_text())}
    return {*found, "Functional"}  # the one that users build without its name
