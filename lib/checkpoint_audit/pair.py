"""Two checkpoints of one classifier, whoever made it, brought to maps that can be compared.

The controls need no training: the same checkpoint explained twice, unrelated films, and permuted
weights.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from lib.attribution.explainer import Explainer
from lib.attribution.maps import MapSet
from lib.checkpoint_audit import graph, preprocessing
from lib.checkpoint_audit.files import CheckpointRefused, load
from lib.checkpoint_audit.findings import CHECKPOINTS
from lib.checkpoint_audit.graph import require_same_architecture, swappable
from lib.checkpoint_audit.layers import audited_layers
from lib.data.batches import Films
from lib.models.randomise import randomise
from lib.study.artefacts import sha256

_TRIED = 100  # films for a trial of preprocessing


@dataclass(frozen=True)
class Pair:
    """Two checkpoints of one architecture.

    Attributes
    ----------
    models : tuple of keras.Model
        BEFORE and AFTER as they were loaded.
    name : str
        Of the architecture, as the model calls itself; letters, digits, "_", "." and "-".
    shape : tuple of int
        Height, width, channels of the films.
    files : dict of str to str
        SHA-256 of the two files.
    plain : tuple of Flat
        Both as flat graphs that take films as they come.
    """

    models: tuple[keras.Model, keras.Model]
    name: str
    shape: tuple[int, int, int]
    files: dict[str, str]
    plain: tuple[graph.Flat, graph.Flat]

    def preprocessed(self, how: str) -> tuple[graph.Flat, graph.Flat]:
        """Both as flat graphs that preprocess films first, see `preprocessing.affine`."""
        if how == "none":
            return self.plain
        rescale = preprocessing.affine(how, channels=self.shape[2])
        made = [graph.flatten(x, size=self.shape[0], rescale=rescale) for x in self.models]
        return tuple(made)


def open_pair(before: Path, after: Path, *, size: int | None = None) -> Pair:
    """Load two checkpoints and check that they differ in nothing but their weights.

    Raises
    ------
    CheckpointRefused
        If a file cannot be audited, or the architectures differ.
    """
    models = tuple(load(path) for path in (before, after))
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", models[0].name) or "model"
    shape = graph.input_shape(models[0], size)
    if shape != graph.input_shape(models[1], size):
        raise CheckpointRefused(
            f"BEFORE takes films of {shape}, AFTER of {graph.input_shape(models[1], size)} "
            "(height, width, channels); only two checkpoints of one architecture can be compared."
        )
    files = {key: sha256(path) for key, path in zip(CHECKPOINTS, (before, after), strict=True)}
    plain = tuple(graph.flatten(model, size=shape[0]) for model in models)
    require_same_architecture(*(flat.graph for flat in plain))
    return Pair(models, name, shape, files, plain)


def choose_preprocessing(pair: Pair, films: Films, given: str) -> tuple[str, list[str]]:
    """How to preprocess, and what the models do themselves; see `preprocessing.choose`.

    Raises
    ------
    PreprocessingUnknown, ValueError
        If it must be said, or there is no such way.
    """
    if given:  # a misspelt name fails before anything is measured
        preprocessing.affine(given, channels=pair.shape[2])
    flat = pair.plain[0]
    inside = preprocessing.inside(flat.graph)
    few = np.random.default_rng(0).permutation(len(films))[:_TRIED]

    def try_all() -> pd.DataFrame:
        return preprocessing.trial(
            flat, films.images[films.rows[few]], films.labels[few], channels=pair.shape[2]
        )

    return preprocessing.choose(given, inside, try_all), inside


def explain_pair(
    flats: tuple[graph.Flat, graph.Flat],
    films: Films,
    image_ids: Sequence[str],
    *,
    layers: Sequence[str] = (),
    methods: Sequence[str],
    batch_size: int,
    report: Callable[[str], Callable[[int, int], None]],
) -> dict[str, MapSet]:
    """Maps of both checkpoints and of the controls, for the true class of every film.

    Parameters
    ----------
    flats : tuple of Flat
        BEFORE and AFTER. The graph of BEFORE is compiled once and takes the weights of AFTER;
        a quantised AFTER has a graph of its own.
    films, image_ids, methods, batch_size
        As `lib.attribution.explainer.Explainer`.
    layers : sequence of str
        As `lib.checkpoint_audit.layers.audited_layers`.
    report : callable
        Receives what is counted, "films, before"; returns a reporter of (films done, in all).

    Returns
    -------
    dict of str to MapSet
        "before", "before_again", "after", "randomised" (the weights of BEFORE, permuted, see
        `lib.models.randomise`).

    Raises
    ------
    ValueError
        If a layer cannot be explained or a checkpoint returns what is not finite, or probabilities
        that the graph does not show as such.
    """
    before, after = flats
    explainers = {}

    def explain(flat, name: str) -> MapSet:
        if id(flat) not in explainers:
            roles = audited_layers(flat.graph, layers)
            explainers[id(flat)] = Explainer(flat.graph, roles, methods=methods)
        found = explainers[id(flat)](
            films, image_ids, batch_size=batch_size, report=report(f"films, {name}")
        )
        _require_logits(found.logits, name)
        return found

    sets = {name: explain(before, name) for name in ("before", "before_again")}
    own = graph.weights_of(before.graph)
    if swappable(before.graph, after.graph):
        graph.put_weights(before.graph, graph.weights_of(after.graph))
        sets["after"] = explain(before, "after")
    else:
        sets["after"] = explain(after, "after")
    graph.put_weights(before.graph, own)
    randomise(before.graph, seed=0)
    sets["randomised"] = explain(before, "randomised")
    graph.put_weights(before.graph, own)
    return sets


def _require_logits(logits: np.ndarray, name: str) -> None:
    if not np.isfinite(logits).all():
        raise ValueError(
            f"{name}: {(~np.isfinite(logits)).any(axis=1).sum()} of {len(logits)} films have "
            "outputs that are not finite. Look at its weights and at PREPROCESSING."
        )
    if (logits >= 0).all() and np.allclose(logits.sum(axis=1), 1, atol=1e-3):
        raise ValueError(
            f"{name}: the outputs are probabilities, but no softmax is found at the end of the "
            "graph, so there are no logits to explain. Save the model with logits."
        )


def checkpoint_table(
    pair: Pair, names: Sequence[str], *, inside: Sequence[str], preprocessing: str
) -> pd.DataFrame:
    """What was audited, a row per checkpoint.

    Parameters
    ----------
    names : sequence of str
        Of the two files.
    inside, preprocessing
        As from `choose_preprocessing`.

    Returns
    -------
    DataFrame
        ``checkpoint``, ``file``, ``sha256``, ``architecture``, ``operations`` of the flat graph,
        ``returns`` (what the model gave before its activation was taken off), ``height`` and
        ``width`` in pixels, ``channels``, ``inside`` (preprocessing of its own), ``preprocessing``.
    """
    rows = [
        [key, name, pair.files[key], pair.name, len(flat.graph.operations), flat.output,
         *pair.shape, ", ".join(inside) or "nothing", preprocessing]
        for key, name, flat in zip(CHECKPOINTS, names, pair.plain, strict=True)
    ]  # fmt: skip
    columns = ["checkpoint", "file", "sha256", "architecture", "operations", "returns", "height"]
    return pd.DataFrame(rows, columns=[*columns, "width", "channels", "inside", "preprocessing"])
