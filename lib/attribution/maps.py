"""A set of attribution maps on disk: raw, native grid, float32, read without pickle."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.study.artefacts import ArtefactError, atomic


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
        """Read what `save` wrote.

        Raises
        ------
        ArtefactError
            If the file is missing, damaged, or not a set of maps.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                named = {
                    tuple(key.split("/")[1:]): arrays[key]
                    for key in arrays.files
                    if key.startswith("maps/")
                }
                layers = {
                    key.split("/")[1]: str(arrays[key])
                    for key in arrays.files
                    if key.startswith("layers/")
                }
                facts = ("image_id", "label", "explained_class", "logits")
                return cls(*(arrays[name] for name in facts), named, layers)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ArtefactError(
                f"{path}: not a readable set of attribution maps ({error}). Delete it and rerun "
                "04_attribute for this checkpoint."
            ) from error
