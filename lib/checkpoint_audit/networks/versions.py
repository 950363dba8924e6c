"""Versions of one classifier, whoever made it, brought to maps that can be compared.

The controls need no training: the same checkpoint explained twice, unrelated films, and permuted
weights.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from lib.attribution.explainer import Explainer
from lib.attribution.maps import MapSet
from lib.checkpoint_audit.networks import graph, preprocessing
from lib.checkpoint_audit.networks.files import CheckpointRefused, load
from lib.checkpoint_audit.networks.layers import (
    audited_layers,
    require_same_architecture,
    swappable,
)
from lib.checkpoint_audit.questions import Version
from lib.data.batches import Films
from lib.models.randomise import randomise
from lib.study.artefacts import sha256

_TRIED = 100  # films for a trial of preprocessing
_MANY = 100  # so many logits that happen to lie between 0 and 1 are none


@dataclass(frozen=True)
class Versions:
    """Two or more checkpoints of one architecture, the oldest first.

    ``models`` are as they were loaded, ``plain`` flat graphs that take films as they come; ``name``
    is that of the architecture, as the model calls itself, of letters, digits, "_", "." and "-";
    ``shape`` height, width and channels of the films; ``hashes`` the SHA-256 of the files.
    """

    models: tuple[keras.Model, ...]
    name: str
    shape: tuple[int, int, int]
    hashes: tuple[str, ...]
    plain: tuple[graph.Flat, ...]

    def preprocessed(self, how: str) -> tuple[graph.Flat, ...]:
        """Flat graphs that preprocess films first, see `preprocessing.affine`."""
        if how == "none":
            return self.plain
        size, _, channels = self.shape
        rescale = preprocessing.affine(how, channels=channels)
        return tuple(graph.flatten(x, size=size, rescale=rescale) for x in self.models)


def open_versions(*files: Path, names: Sequence[str] = (), size: int | None = None) -> Versions:
    """Load checkpoints, the oldest first.

    Parameters
    ----------
    *files : Path
        Keras files of whole models, at least two.
    names : sequence of str
        What messages call them; of two by default "BEFORE" and "AFTER".
    size : int, optional
        Input side in pixels, only for models that take films of any size.

    Raises
    ------
    CheckpointRefused
        If one cannot be loaded, takes no square films, or they differ in more than their weights.
    """
    names = names or ("BEFORE", "AFTER")
    models = tuple(load(path) for path in files)
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", models[0].name) or "model"
    shape = graph.input_shape(models[0], size)
    for other, model in zip(names[1:], models[1:], strict=True):
        if shape != (found := graph.input_shape(model, size)):
            raise CheckpointRefused(
                f"{names[0]} takes films of {shape}, {other} of {found} (height, width, channels); "
                "only checkpoints of one architecture can be compared."
            )
    plain = tuple(graph.flatten(model, size=shape[0]) for model in models)
    for other, flat in zip(names[1:], plain[1:], strict=True):
        require_same_architecture(plain[0].graph, flat.graph, names=(names[0], other))
    return Versions(models, name, shape, tuple(map(sha256, files)), plain)


def choose_preprocessing(
    versions: Versions, films: Films, given: str, *, status: np.ndarray | None = None
) -> tuple[str, list[str]]:
    """How to preprocess, and what the models do themselves.

    Parameters
    ----------
    versions : Versions
    films : Films
        Of which some are tried, where nothing is known.
    given : str
        As in `preprocessing.affine`, or "".
    status : ndarray of float, shape (films, findings), optional
        Of a multi-label model, in the place of classes.

    Returns
    -------
    preprocessing : str
        As given, or "none" where the models do it.
    inside : list of str

    Raises
    ------
    PreprocessingUnknown
        If it must be said; the message tells how well each way does.
    ValueError
        As `preprocessing.affine`.
    """
    channels = versions.shape[2]
    if given:  # a misspelt name fails before anything is measured
        preprocessing.affine(given, channels=channels)
    flat = versions.plain[0]
    inside = preprocessing.inside(flat.graph)
    if given or inside:
        return given or "none", inside
    few = np.random.default_rng(0).permutation(len(films))[:_TRIED]
    labels = films.labels if status is None else status
    images = films.images[films.rows[few]]
    table = preprocessing.trial(flat, images, labels[few], channels=channels)
    measured = ", ".join(f"{row.preprocessing} {row.score:.2f}" for row in table.itertuples())
    raise preprocessing.PreprocessingUnknown(
        "the models do no preprocessing of their own, and none was given. Say how they were "
        f"trained: PREPROCESSING={'|'.join(preprocessing.MODES)} or a module of "
        "keras.applications. A hint, not a choice: accuracy (of findings, mean AUC) of BEFORE on "
        f"{len(few)} films with each: {measured}."
    )


def explain_versions(
    flats: Sequence[graph.Flat],
    films: Films,
    image_ids: Sequence[str],
    *,
    names: Sequence[str] = ("before", "after"),
    layers: Sequence[str] = (),
    methods: Sequence[str],
    batch_size: int,
    report: Callable[[str], Callable[[int, int], None]],
    ask: Callable[[Explainer, MapSet], Mapping[str, pd.DataFrame]] | None = None,
) -> list[Version]:
    """Maps of every version and of the controls, for the true class of every film.

    The graph of the first version, the oldest, is compiled once and takes the weights of the
    others; a quantised version has one of its own. The last version has no controls.

    Parameters
    ----------
    flats : sequence of graph.Flat
        The oldest first.
    films, image_ids, methods, batch_size
        As in `lib.attribution.explainer.Explainer`.
    names : sequence of str
        Of the versions, for messages.
    layers : sequence of str
        As in `audited_layers`.
    report : callable
        Receives what is counted, "films, before", and returns a reporter of (films done, in all).
    ask : callable, optional
        What a version is asked beside, of `lib.checkpoint_audit.asking`.

    Raises
    ------
    ValueError
        If a layer cannot be explained or a checkpoint returns what is not finite, or probabilities
        that the graph does not show as such.
    """
    explainers, first, found = {}, flats[0], []
    weights = [graph.weights_of(flat.graph) for flat in flats]

    def explain(flat, name: str) -> MapSet:
        if id(flat) not in explainers:
            roles = audited_layers(flat.graph, layers)
            explainers[id(flat)] = Explainer(flat.graph, roles, methods=methods)
        made = explainers[id(flat)](
            films, image_ids, batch_size=batch_size, report=report(f"films, {name}")
        )
        _require_logits(made.logits, name)
        return made

    for name, flat, own in zip(names, flats, weights, strict=True):
        host = first if swappable(first.graph, flat.graph) else flat
        graph.put_weights(host.graph, own)
        version = Version(explain(host, name))
        if ask:
            version = replace(version, asked=ask(explainers[id(host)], version.own))
        if flat is not flats[-1]:
            again = explain(host, f"{name} again")
            randomise(host.graph, seed=0)
            permuted = explain(host, f"{name} randomised")
            version = replace(version, again=again, randomised=permuted)
        found.append(version)
    for flat, own in zip(flats, weights, strict=True):
        graph.put_weights(flat.graph, own)
    return found


def _require_logits(logits: np.ndarray, name: str) -> None:
    if not np.isfinite(logits).all():
        raise ValueError(
            f"{name}: {(~np.isfinite(logits)).any(axis=1).sum()} of {len(logits)} films have "
            "outputs that are not finite. Look at its weights and at PREPROCESSING."
        )
    shares = (logits >= 0).all() and (logits <= 1).all()
    if shares and (np.allclose(logits.sum(axis=1), 1, atol=1e-3) or len(logits) >= _MANY):
        raise ValueError(
            f"{name}: the outputs are probabilities, but no softmax or sigmoid is found at the end "
            "of the graph, so there are no logits to explain. Save the model with logits."
        )


def checkpoint_table(
    versions: Versions, names: Sequence[str], *, inside: Sequence[str], preprocessing: str
) -> pd.DataFrame:
    """What was audited, a row per version.

    Parameters
    ----------
    versions : Versions
    names : sequence of str
        Of the files.
    inside : sequence of str
        Preprocessing in the models.
    preprocessing : str
        What is done to films before.

    Returns
    -------
    DataFrame
        ``file``, ``sha256``, ``architecture``, ``operations`` of the flat graph, ``returns`` (what
        the model gave before its activation was taken off), ``height`` and ``width`` in pixels,
        ``channels``, ``inside`` and ``preprocessing``.
    """
    rows = [
        [name, digest, versions.name, len(flat.graph.operations), flat.output,
         *versions.shape, ", ".join(inside) or "nothing", preprocessing]
        for name, digest, flat in zip(names, versions.hashes, versions.plain, strict=True)
    ]  # fmt: skip
    columns = ["file", "sha256", "architecture", "operations", "returns", "height"]
    return pd.DataFrame(rows, columns=[*columns, "width", "channels", "inside", "preprocessing"])
