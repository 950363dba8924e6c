"""Where a backbone's first weights come from; no TensorFlow, because the workflow asks too."""

import hashlib
import json
from pathlib import Path

from lib.study.params import Fractal, Weights
from lib.study.paths import ROOT, StudyPaths, resolve
from lib.study.seeds import derive

SHIPPED = ROOT / "lib" / "models" / "shipped"
"""Folder of the weights that come with the code, in eight bits (see `lib.models.eight_bit`)."""
_VERSION = 1  # raise it when drawing or pre-training of `fractals` changes: part of the key


def shipped_file(architecture: str) -> Path:
    """File of the shipped weights of a backbone; its record ``<file>.json`` stands beside it."""
    return SHIPPED / f"{architecture}.npz"


def fractal_seed(seed: int) -> int:
    """Seed of the fractal source task, from the seed of the study."""
    return derive(seed, "pretrain")


def fractal_key(architecture: str, params: Fractal, *, seed: int) -> str:
    """Name of pre-trained weights by what made them: ``fractal-`` and 12 hexadecimal digits.

    Parameters
    ----------
    architecture : str
    params : Fractal
    seed : int
        That of the study.
    """
    content = [_VERSION, architecture, params.model_dump(), fractal_seed(seed)]
    text = json.dumps(content, sort_keys=True)
    return "fractal-" + hashlib.sha256(text.encode()).hexdigest()[:12]


def weights_file(
    architecture: str, params: Weights, paths: StudyPaths, *, seed: int
) -> Path | None:  # fmt: skip
    """File with the backbone's first weights.

    Parameters
    ----------
    architecture : str
        Key of `lib.study.architectures.ARCHITECTURES`.
    params : Weights
        Says the source.
    paths : StudyPaths
        Where weights trained on fractals lie.
    seed : int
        That of the study.

    Returns
    -------
    Path or None
        None for ImageNet and random weights.
    """
    if params.source == "fractal":
        return paths.weights(architecture, fractal_key(architecture, params.fractal, seed=seed))
    if params.source == "drawn":
        return shipped_file(architecture)
    return resolve(params.files[architecture]) if params.source == "file" else None


def builder_weights(
    architecture: str, params: Weights, paths: StudyPaths, *, seed: int
) -> str | None:  # fmt: skip
    """The ``weights`` argument of a ``keras.applications`` builder.

    Parameters
    ----------
    architecture, params, paths, seed
        As in `weights_file`.

    Returns
    -------
    str or None
        A path, "imagenet", or None for random weights.
    """
    file = weights_file(architecture, params, paths, seed=seed)
    return str(file) if file else ("imagenet" if params.source == "imagenet" else None)
