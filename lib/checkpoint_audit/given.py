"""Maps that were made elsewhere, of any framework, in a layout that NumPy alone writes.

An ``.npz`` file, or a folder of the same arrays as ``.npy`` files, the names of arrays being paths:

=====================================  ============================================================
``image_id`` (n,), text                of the films, as in the table or folder of films
``logits`` (n, classes), numbers       the outputs of the model before softmax or sigmoid
``maps/<layer>/<method>`` (n, h, w)    not negative, on any grid, of the class that is explained
``explained`` (n,), text               that class or finding; without it the true class of the film
``again/…``, ``randomised/…``          of BEFORE only: the same maps made once more, and with
                                       permuted weights (the controls); both may be left out
=====================================  ============================================================

Of a multi-label model there is a row per film and finding that it has: ids repeat. What
`lib.attribution.maps.MapSet.save` writes can be read too.
"""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from lib.attribution.maps import MapSet
from lib.checkpoint_audit.networks.files import CheckpointRefused
from lib.checkpoint_audit.questions import Version
from lib.data.privacy import pseudonyms
from lib.evidence.mass import on_grid
from lib.study.errors import few

_SETS = ("maps", "again", "randomised")
_LAYOUT = "see the layout in book/audit.md, and the ten lines that write it"


def _names(path: Path) -> list[str]:
    if path.is_dir():
        files = sorted(path.rglob("*.npy"))
        return [file.relative_to(path).with_suffix("").as_posix() for file in files]
    if not path.exists():
        raise CheckpointRefused(f"{path}: no such file. Check the path")
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise CheckpointRefused(
            f"{path}: found something else than an .npz file ({error}), expected the maps of one "
            f"model, made by numpy.savez; {_LAYOUT}"
        ) from error


def check(path: Path) -> list[str]:
    """Names of the arrays of a set of maps; what is none is refused, in a matter of a second."""
    names = _names(path)
    missing = [name for name in ("image_id", "logits") if name not in names]
    if not any(name.startswith("maps/") for name in names):
        missing.append("maps/<layer>/<method>")
    odd = [name for name in names if name.split("/")[0] in _SETS and name.count("/") != 2]
    if missing:
        found = f"the arrays {few(names) or 'none'}, expected also {', '.join(missing)}"
    elif odd:
        found = f"an array {odd[0]!r}, expected names such as maps/layer4/gradcam"
    else:
        return names
    raise CheckpointRefused(f"{path}: found {found}; {_LAYOUT}")


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays by name; none of them may be pickled."""
    names = check(path)
    try:
        if path.is_dir():
            return {name: np.load(path / f"{name}.npy", allow_pickle=False) for name in names}
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointRefused(
            f"{path}: an array cannot be read ({error}); expected arrays of numbers or text, none "
            "of dtype object, which would be pickled. Write texts by numpy.array(ids, dtype=str)"
        ) from error


def read(
    path: Path,
    manifest: pd.DataFrame,
    *,
    classes: Sequence[str],
    findings: bool = False,
    salt: bytes | None = None,
) -> Version:
    """Maps of one model, brought to the films of an audit and to their order, or refused.

    Labels are indices of `classes`, which are in the order of the logits. With `findings` rows are
    films with one of their findings; with a `salt` the ids of the manifest are hashed with it.
    Films without maps are for `common_films` to find.
    """
    arrays, classes = _arrays(path), list(classes)
    ids = pd.Series(arrays["image_id"].astype(str))
    if salt:
        ids = pseudonyms(ids, salt)
    _check_shapes(path, arrays, classes)
    explained = _explained(path, arrays, classes)
    if findings and explained is None:
        why = f"expected the finding that each row explains, of {', '.join(classes)}; {_LAYOUT}"
        raise CheckpointRefused(f"{path}: no array 'explained', {why}")
    place = {name: number for number, name in enumerate(manifest["image_id"])}
    rows = pd.DataFrame({"place": ids.map(place), "row": range(len(ids))}).dropna().astype(int)
    if findings:
        rows["label"] = explained[rows["row"]]
    else:
        rows["label"] = np.array([classes.index(x) for x in manifest["label"]], int)[rows["place"]]
        if explained is not None and (odd := explained[rows["row"]] != rows["label"]).any():
            first = rows[odd].iloc[0]
            raise CheckpointRefused(
                f"{path}: {str(arrays['image_id'][first['row']])!r}: found maps of "
                f"{classes[explained[first['row']]]!r}, expected those of its class, "
                f"{manifest['label'].iloc[first['place']]!r} ({odd.sum()} films differ). Explain "
                "the true class, whatever the model predicts: otherwise changed predictions look "
                "like changed evidence"
            )
    if (twice := rows.duplicated(["place", "label"])).any():
        again = str(arrays["image_id"][rows.loc[twice, "row"].iloc[0]])
        each = "each film once" + " for each of its findings" * findings
        raise CheckpointRefused(
            f"{path}: image_id: found {again!r} twice, expected {each}. Leave one of them out"
        )
    rows = rows.sort_values(["place", "label"])
    take, label = rows["row"].to_numpy(), rows["label"].to_numpy()
    image_id = ids.to_numpy()[take].astype(str)

    def maps_of(kind: str) -> MapSet | None:
        found = {
            tuple(name.split("/")[1:]): array[take].astype(np.float32)
            for name, array in arrays.items()
            if name.startswith(f"{kind}/")
        }
        layers = {layer: str(arrays.get(f"layers/{layer}", layer)) for layer, _ in found}
        logits = arrays["logits"][take].astype(np.float32)
        return MapSet(image_id, label, label, logits, found, layers) if found else None

    return Version(*(maps_of(kind) for kind in _SETS))


def _check_shapes(path: Path, arrays: Mapping[str, np.ndarray], classes: Sequence[str]) -> None:
    films = len(arrays["image_id"])
    expected = {"image_id": (films,), "logits": (films, len(classes)), "explained": (films,)}
    for name, array in arrays.items():
        shape = expected.get(name)
        if name.split("/")[0] in _SETS:
            shape = (films, *array.shape[1:]) if array.ndim == 3 else (films, "h", "w")
        if shape and array.shape != shape:
            raise CheckpointRefused(
                f"{path}: {name}: found shape {array.shape}, expected {shape} for {films} films "
                f"and {len(classes)} classes ({', '.join(classes)}). Correct it, or name the "
                'classes in the order of the logits: CLASSES="first,second,…"'
            )
        if name.split("/")[0] in _SETS and (array.dtype.kind not in "fiub" or (array < 0).any()):
            raise CheckpointRefused(
                f"{path}: {name}: found {array.dtype} with negative values or no numbers, expected "
                "evidence that is not negative. Take numpy.maximum(maps, 0) for evidence for the "
                "class, or numpy.abs(maps) for evidence of either sign"
            )
    if not np.isfinite(arrays["logits"]).all():
        raise CheckpointRefused(f"{path}: logits: found NaN or infinite, expected finite numbers")


def _explained(path: Path, arrays: Mapping, classes: Sequence[str]) -> np.ndarray | None:
    """Index of the class of every row; None where it is the true class."""
    if "explained" in arrays:
        names = arrays["explained"].astype(str).tolist()
        if unknown := sorted(set(names) - {*classes, ""}):
            why = f"found {few(unknown)}, expected names of {', '.join(classes)}"
            raise CheckpointRefused(f"{path}: explained: {why}")
        # A film without a finding has a row for its logits; its map is never looked at.
        return np.array([classes.index(name) if name else 0 for name in names], int)
    return arrays["explained_class"].astype(int) if "explained_class" in arrays else None


def common_films(
    versions: Sequence[Version], names: Sequence[str], manifest: pd.DataFrame
) -> tuple[list[Version], list[str]]:
    """Two sets brought to the same rows and grids, or refused; and what is to be said of that."""
    both, (before, after) = " and ".join(names), (version.own for version in versions)
    keys = [set(zip(own.image_id, own.label, strict=True)) for own in (before, after)]
    shared, said = keys[0] & keys[1], []
    if not shared:
        raise CheckpointRefused(
            f"{both}: found no row that both have of the {len(manifest)} films; ids of films are "
            f"such as {manifest['image_id'].iloc[0]!r}. Give maps the same image_id, and explain "
            "the same class in both"
        )
    if not before.maps.keys() & after.maps.keys():
        one, other = (few(map("/".join, own.maps)) for own in (before, after))
        raise CheckpointRefused(
            f"{both}: found no array maps/<layer>/<method> that both have: {one} and {other}. Name "
            "those alike that are to be compared"
        )
    for name, own in zip(names, keys, strict=True):
        if more := len(own) - len(shared):
            said.append(f"{name} has {more} maps that the other has not; they are left out.")
    grids = {}
    for cell in (cell for cell in before.maps if cell in after.maps):
        shapes = [own.maps[cell].shape[1:] for own in (before, after)]
        grids[cell] = tuple(map(min, *shapes))
        if shapes[0] != shapes[1]:
            found = " and ".join(f"{h}×{w}" for h, w in shapes)
            said.append(
                f"The maps {'/'.join(cell)} are of {found} cells; both are compared in the frame "
                f"of the film, averaged to {'×'.join(map(str, grids[cell]))} cells."
            )
    controls = {"again": "made once more", "randomised": "made with permuted weights"}
    absent = [words for key, words in controls.items() if getattr(versions[0], key) is None]
    if absent:
        said.append(
            f"The maps of BEFORE were not {' nor '.join(absent)}: "
            "the floor is taken as exact, and what is missing is no control here."
        )

    for name, version in zip(names, versions, strict=True):
        for kind, more in (("again", version.again), ("randomised", version.randomised)):
            if more and (lost := grids.keys() - more.maps.keys()):
                found = few(sorted(map("/".join, lost)))
                raise CheckpointRefused(
                    f"{name}: found no {kind}/<layer>/<method> for {found}, which maps/ has; give "
                    f"{kind}/ the same layers and methods as maps/, or none at all"
                )

    def cut(maps: MapSet) -> MapSet:
        kept = maps.take([key in shared for key in zip(maps.image_id, maps.label, strict=True)])
        found = {
            cell: on_grid(stack, grids[cell]).astype(np.float32)
            for cell, stack in kept.maps.items()
            if cell in grids
        }
        return replace(kept, maps=found, layers={role: maps.layers[role] for role, _ in found})

    sets = [(version.own, version.again, version.randomised) for version in versions]
    return [Version(*(maps and cut(maps) for maps in of)) for of in sets], said
