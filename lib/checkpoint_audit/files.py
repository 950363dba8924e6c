"""Keras checkpoints of any origin: read without running code from the file, or refused with why.

A ``.keras`` file is a ZIP archive of a graph in JSON and of weights in HDF5. The graph is looked
through before Keras sees it: only classes of Keras itself are let in, none that brings code along.
Keras's own ``safe_mode`` then guards the loading a second time.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

_CONFIG, _WEIGHTS = "config.json", ("model.weights.h5", "model.weights.npz")
_LARGEST_GRAPH = 64 * 2**20  # bytes of JSON; NASNetLarge has less than 2 MiB
_BRING_CODE = {
    "Lambda": "is a Python function stored in the file",
    "__lambda__": "is a Python function stored in the file",
    "TFSMLayer": "runs a TensorFlow program from another place of the disk",
    "TorchModuleWrapper": "is a pickled PyTorch module",
    "JaxLayer": "is a stored JAX function",
    "FlaxLayer": "is a stored JAX function",
}
_UNUSED = ("compile_config", "build_config")  # loss and optimiser are not needed to explain


class CheckpointRefused(ValueError):
    """A file cannot be audited; the message says why and what to do."""


def check(path: Path) -> None:
    """Look a checkpoint through without loading it: a matter of a second, TensorFlow is not needed.

    Raises
    ------
    CheckpointRefused
        If the file is missing, damaged, of another format, or holds classes that are not Keras's
        own or bring code along.
    """
    _check_graph(path, _read_graph(path))


def load(path: Path) -> "keras.Model":
    """Load the model of a ``.keras`` file, uncompiled.

    Parameters
    ----------
    path : Path
        A whole model saved by Keras 3, ``model.save("name.keras")``.

    Raises
    ------
    CheckpointRefused
        As `check`, or if it does not load.
    """
    path = Path(path)
    check(path)
    import keras  # here: it takes half a minute, and most refusals do not need it

    from lib.models import settings

    settings.apply()
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever a foreign file makes Keras stumble over is a refusal
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise CheckpointRefused(
            f"{path}: Keras {keras.__version__} cannot load it ({reason}). Save it again with this "
            "version, in the environment that made it."
        ) from error


def _read_graph(path: Path) -> dict:
    """The description of the graph, as it stands in the archive."""
    _check_format(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if _CONFIG not in names or not set(_WEIGHTS) & set(names):
                raise CheckpointRefused(
                    f"{path}: found an archive of {', '.join(names[:4]) or 'nothing'}, expected "
                    f"{_CONFIG} and {_WEIGHTS[0]}. Save the whole model: model.save('name.keras')."
                )
            if (size := archive.getinfo(_CONFIG).file_size) > _LARGEST_GRAPH:
                raise CheckpointRefused(
                    f"{path}: its {_CONFIG} has {size} bytes, expected at most {_LARGEST_GRAPH}; "
                    "no classifier is described by so much text. Is it the file that you meant?"
                )
            if broken := archive.testzip():
                raise CheckpointRefused(f"{path}: damaged ({broken} fails its check sum). {_AGAIN}")
            graph = json.loads(archive.read(_CONFIG))
    except CheckpointRefused:
        raise
    except (ValueError, RecursionError) as error:
        raise CheckpointRefused(f"{path}: its {_CONFIG} is no JSON ({error}). {_AGAIN}") from error
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise CheckpointRefused(f"{path}: damaged or no ZIP archive ({error}). {_AGAIN}") from error
    if not isinstance(graph, dict) or "class_name" not in graph:
        raise CheckpointRefused(f"{path}: its {_CONFIG} describes no model. {_AGAIN}")
    return graph


_AGAIN = "Copy or save the checkpoint again."


def _check_format(path: Path) -> None:
    name = path.name.lower()
    if not path.exists():
        why = "no such file. Check the path"
    elif path.is_dir() and (path / "saved_model.pb").exists():
        why = (
            "a SavedModel folder holds a compiled program, whose layers cannot be reached. Save "
            "the Keras model itself: model.save('name.keras')"
        )
    elif path.is_dir():
        why = "found a folder, expected a .keras file. Name the file"
    elif name.endswith(".weights.h5"):
        why = (
            "holds weights without the graph. Build the model, load them into it and save the "
            "whole: model.save('name.keras')"
        )
    elif name.endswith((".h5", ".hdf5")):
        # The legacy reader follows rules of its own, and its guard against code came late.
        why = (
            "the legacy HDF5 format is not read, because it is not guarded as well against code in "
            "the file. If you trust it, convert it: "
            "keras.models.load_model('name.h5', compile=False).save('name.keras')"
        )
    elif not name.endswith(".keras"):
        why = "expected a .keras file. Save the whole model: model.save('name.keras')"
    else:
        return
    raise CheckpointRefused(f"{path}: {why}.")


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
                f"{where} {_BRING_CODE[name]}, and code from a file is never run here. Save the "
                "model with a layer of Keras in its place, such as Rescaling for a division."
            )
        package = str(module or "keras").split(".")[0]
        if package not in ("keras", "builtins") or ">" in str(found.get("registered_name")):
            raise CheckpointRefused(
                f"{where} of {module or found.get('registered_name')} is not a class of Keras, and "
                "its code is not in the file. Only models of Keras's own layers can be audited."
            )
