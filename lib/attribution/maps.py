"""A set of attribution maps on disk: raw, native grid, float32, read without pickle."""

import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from lib.attribution.arrays import blank_reason
from lib.study.artefacts import atomic, manifest_path, require
from lib.study.errors import ArtefactError
from lib.study.paths import StudyPaths
from lib.study.schema import TABLES


@dataclass(frozen=True)
class MapSet:
    """Attribution maps of one checkpoint.

    Attributes
    ----------
    image_id : ndarray of str, shape (n,)
    label : ndarray of int, shape (n,)
        Index of the true class.
    explained_class : ndarray of int, shape (n,)
        Index of the class whose score was explained, as a rule the true one.
    logits : ndarray of float32, shape (n, classes)
    maps : dict of (role, method) to ndarray of float32, shape (n, h, w)
        Raw maps, ≥ 0, not normalised.
    layers : dict of role to str
        Name of the layer that had the role.
    """

    image_id: np.ndarray
    label: np.ndarray
    explained_class: np.ndarray
    logits: np.ndarray
    maps: dict[tuple[str, str], np.ndarray]
    layers: dict[str, str]

    def take(self, rows: np.ndarray) -> "MapSet":
        """The same set of some of its rows, by place or by mask."""
        facts = ("image_id", "label", "explained_class", "logits")
        facts = {name: getattr(self, name)[rows] for name in facts}
        return replace(self, **facts, maps={key: stack[rows] for key, stack in self.maps.items()})

    def save(self, path: Path) -> None:
        """Write to `path` (``.npz``) atomically."""
        arrays = {f"maps/{role}/{method}": maps for (role, method), maps in self.maps.items()}
        arrays |= {f"layers/{role}": np.array(name) for role, name in self.layers.items()}
        with atomic(path) as temporary:
            np.savez_compressed(
                temporary,
                image_id=np.asarray(self.image_id, dtype=str),
                label=self.label,
                explained_class=self.explained_class,
                logits=self.logits,
                **arrays,
            )

    @classmethod
    def load(cls, path: Path) -> "MapSet":
        """Read what `save` wrote; an ArtefactError if it is missing, damaged or something else."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                named, layers = {}, {}
                for key in arrays.files:
                    kind, _, name = key.partition("/")
                    if kind == "maps":
                        named[tuple(name.split("/"))] = arrays[key]
                    elif kind == "layers":
                        layers[name] = str(arrays[key])
                facts = ("image_id", "label", "explained_class", "logits")
                return cls(*(arrays[name] for name in facts), named, layers)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ArtefactError(
                f"{path}: not a readable set of attribution maps ({error}). Delete it and rerun "
                "04_attribute for this checkpoint."
            ) from error


def correct(maps: MapSet) -> np.ndarray:
    """Whether the checkpoint predicts the explained (true) class, shape (n,)."""
    return maps.logits.argmax(axis=1) == maps.label


def require_same_films(sets: dict[str, MapSet]) -> None:
    """Raise ValueError unless all sets hold the same films in the same order."""
    first = next(iter(sets))
    for name, maps in sets.items():
        if not np.array_equal(maps.image_id, sets[first].image_id):
            raise ValueError(
                f"{name} has maps of {len(maps.image_id)} films that are not those of {first} "
                f"({len(sets[first].image_id)}); rerun 04_attribute for both"
            )


def largest_difference(maps: MapSet, role: str, methods: tuple[str, str]) -> float:
    """Largest difference between two methods at a role, of maps scaled to their own maximum.

    Parameters
    ----------
    maps : MapSet
    role : str
        Layer role.
    methods : tuple of str
        The two that are compared.

    Returns
    -------
    float
        In [0, 1]. Films for which either map is blank do not count; NaN where none is left.
    """
    a, b = (maps.maps[role, method] for method in methods)
    usable = (blank_reason(a) == "") & (blank_reason(b) == "")
    if not usable.any():
        return float("nan")
    a, b = (x[usable] / x[usable].max(axis=(1, 2), keepdims=True) for x in (a, b))
    return float(np.abs(a - b).max())


def load_maps(
    paths: StudyPaths, architecture: str, checkpoints: Sequence[str]
) -> dict[str, MapSet]:
    """Maps by checkpoint, of those that are complete.

    Parameters
    ----------
    paths : StudyPaths
    architecture : str
    checkpoints : sequence of str
        Names of sets of maps; those without a complete file are left out.

    Raises
    ------
    ArtefactError
        If a file has changed since it was completed or cannot be read.
    """
    sets = {}
    for checkpoint in checkpoints:
        path = paths.maps(architecture, checkpoint)
        if manifest_path(path).exists():
            require(path)
            sets[checkpoint] = MapSet.load(path)
    return sets


def blank_tables(sets: dict[str, dict[str, MapSet]], *, classes: Sequence[str]) -> pd.DataFrame:
    """Blank maps of every architecture and checkpoint; a row with count 0 where there is none.

    Returns
    -------
    DataFrame
        ``architecture``, ``checkpoint``, ``role``, ``method``, ``label``, ``reason``, ``blank``
        (count), ``n`` (maps of the class).
    """
    rows = []
    for architecture, of in sets.items():
        for checkpoint, maps in of.items():
            for (role, method), stack in maps.maps.items():
                where, reasons = [architecture, checkpoint, role, method], blank_reason(stack)
                for index, label in enumerate(classes):
                    own = reasons[maps.label == index]
                    found = Counter(sorted(own[own != ""].tolist())) or {"none": 0}
                    rows += [[*where, label, each, found[each], len(own)] for each in found]
    return pd.DataFrame(rows, columns=TABLES["blanks"].columns)
