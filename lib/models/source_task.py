"""Train a backbone on drawn radiographs, once and long: the study's own source of weights.

One label per film teaches slowly. A drawn film comes with all that made it, so the backbone answers
for everything at once: which finding is in which place (from the pooled features, the vector that
the study's head will read), which cells a finding covers (from the last map and from the map before
the last halving), and how body and exposure were (a regression from the pooled features).
Resolution grows: most films are seen small, when most is learnt and a film costs least, the last
ones at about the study's size.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from lib.data.batches import fetched, pixels
from lib.data.phantoms.findings import FINDINGS, PAIRS
from lib.data.phantoms.source_films import MEASURES, SourceSet
from lib.models import backbones, training_loop
from lib.models.layers import found_roles
from lib.study.artefacts import atomic, read_table, write_table
from lib.study.seeds import derive

HELD_OUT = 256
"""The first films of a set are never trained on."""
_WEIGHTS = {"pairs": 0.1, "cells": 0.05, "fine_cells": 0.02, "measures": 0.05}


@dataclass(frozen=True)
class Phase:
    """Some films at one size, with a warm-up and a cosine decay of their own.

    ``size`` is the side in pixels, ``films`` how many are seen (a set that is too short is gone
    through again), ``rate`` the peak learning rate of AdamW and ``lowest`` its share at the end.
    """

    size: int
    films: int
    rate: float
    lowest: float = 0.1


@dataclass(frozen=True)
class Recipe:
    """How one backbone is trained; an interruption loses at most a ``piece`` of films."""

    phases: tuple[Phase, ...]
    batch_size: int = 16
    piece: int = 1024
    weight_decay: float = 0.02


RECIPES = {
    "densenet201": Recipe((Phase(96, 16_384, 1e-3), Phase(160, 6_144, 5e-4, 0.0))),
    "resnet50v2": Recipe((Phase(96, 20_480, 1e-3), Phase(160, 12_288, 5e-4, 0.0))),
    "inceptionv3": Recipe((Phase(139, 16_384, 1e-3), Phase(203, 10_240, 5e-4, 0.0))),
}


def add_heads(backbone: keras.Model) -> keras.Model:
    """The model that asks a backbone for findings, cells and measures.

    Returns
    -------
    keras.Model
        Outputs ``pairs`` (n, pairs), ``cells`` and ``fine_cells`` (n, grid, grid, findings), all
        logits, and ``measures`` (n, measures).
    """
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
    finer = found_roles(keras.Model(backbone.input, pooled))["stage4"].output
    # Adam moves every weight of a head by the same step, and two thousand of them add up: smaller
    # inputs keep one step from throwing the answers about.
    pooled, last, finer = (
        keras.layers.Rescaling(0.05)(x) for x in (pooled, backbone.output, finer)
    )

    def head(name, kind, *size, rare=None):  # start from how rare a finding is, not from one half
        bias = "zeros" if rare is None else keras.initializers.Constant(np.log(rare))
        return kind(*size, bias_initializer=bias, dtype="float32", name=name)

    dense, by_cell, kinds = keras.layers.Dense, keras.layers.Conv2D, len(FINDINGS)
    outputs = {
        "pairs": head("pairs", dense, len(PAIRS), rare=0.02)(pooled),
        "cells": head("cells", by_cell, kinds, 1, rare=0.02)(last),
        "fine_cells": head("fine_cells", by_cell, kinds, 1, rare=0.01)(finer),
        "measures": head("measures", dense, len(MEASURES))(pooled),
    }
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.95  # with 0.99 the statistics lag behind weights that learn fast
    return keras.Model(backbone.input, outputs)


def _summed_crossentropy(truth, logits):
    losses = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(truth, logits.dtype), logits)
    return tf.reduce_sum(tf.reshape(losses, (tf.shape(losses)[0], -1)), axis=1)


def _summed_squares(truth, values):
    return tf.reduce_sum(tf.square(truth - values), axis=1)


_LOSSES = dict.fromkeys(("pairs", "cells", "fine_cells"), _summed_crossentropy)
_LOSSES |= {"measures": _summed_squares}


def compile_model(model: keras.Model, phase: Phase, recipe: Recipe) -> None:
    """AdamW with warm-up and cosine decay, and a loss for every question."""
    steps = phase.films // recipe.batch_size
    warmup = min(300, max(1, steps // 10))
    rate = training_loop.decay(phase.rate, steps=steps, warmup=warmup, lowest=phase.lowest)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(optimizer, _LOSSES, loss_weights=_WEIGHTS, jit_compile=False)


def _grids(model: keras.Model) -> dict[str, int]:
    return {name: int(model.output[name].shape[1]) for name in ("cells", "fine_cells")}


def answers(source: SourceSet, rows: np.ndarray, grids: dict[str, int]) -> dict[str, np.ndarray]:
    """What is asked about some films; a cell of a map has what any of its finer cells has."""
    cells = np.minimum(source.cells[rows].astype(np.float32) * (4 / 255), 1)  # a quarter is full

    def shrunk(side):
        starts = np.arange(side) * cells.shape[1] // side
        return np.maximum.reduceat(np.maximum.reduceat(cells, starts, axis=1), starts, axis=2)

    return {
        "pairs": source.pairs[rows].astype(np.float32),
        "measures": source.measures[rows],
        **{name: shrunk(side) for name, side in grids.items()},
    }


def images(source: SourceSet, rows: np.ndarray, size: int) -> np.ndarray:
    """Films at one size as float32 (n, size, size, 3) in 0..255."""
    films = source.images[rows]
    method = cv2.INTER_AREA if size < films.shape[1] else cv2.INTER_LINEAR
    return pixels(
        np.stack([cv2.resize(film, (size, size), interpolation=method) for film in films])
    )


def piece_rows(source: SourceSet, recipe: Recipe, *, start: int, seed: int) -> np.ndarray:
    """Rows of the films that are seen from number `start` on, one piece, in random order."""
    numbers = HELD_OUT + (start + np.arange(recipe.piece)) % (len(source) - HELD_OUT)
    return np.random.default_rng(derive(seed, "piece", start)).permutation(numbers)


def _dataset(source, rows, grids, *, size, batch_size) -> tf.data.Dataset:
    shapes = {"pairs": (len(PAIRS),), "measures": (len(MEASURES),)}
    shapes |= {name: (side, side, len(FINDINGS)) for name, side in grids.items()}

    def fetch(chosen):
        known = answers(source, chosen, grids)
        return images(source, chosen, size), *(known[name] for name in shapes)

    every = [(tf.float32, shape) for shape in ((size, size, 3), *shapes.values())]
    loaded = fetched(rows, fetch, every, batch_size=batch_size, whole=True)
    return loaded.map(lambda films, *known: (films, dict(zip(shapes, known, strict=True))))


def _judge(model: keras.Model, source: SourceSet, *, size: int, batch_size: int) -> dict:
    """Loss and performance on the films that are held out."""
    rows = np.arange(HELD_OUT)
    outputs = model.predict(images(source, rows, size), batch_size=batch_size, verbose=0)
    known = answers(source, rows, _grids(model))
    losses = {
        name: float(np.mean(_LOSSES[name](tf.constant(known[name]), tf.constant(outputs[name]))))
        for name in _WEIGHTS
    }
    spread = np.square(known["measures"] - known["measures"].mean(0)).sum(1).mean()
    return {
        "loss": sum(_WEIGHTS[name] * value for name, value in losses.items()),
        # Named so that the line of the training loop shows it.
        "macro_auc": float(roc_auc_score(known["pairs"].ravel(), outputs["pairs"].ravel())),
        "measures_r2": 1 - losses["measures"] / float(spread),
        **{f"{name}_loss": value for name, value in losses.items()},
    }


def phase_key(architecture: str, recipe: Recipe, number: int, source: SourceSet, seed: int) -> str:
    """Identity of a phase: what was done up to its end."""
    recipe = asdict(recipe) | {"phases": [asdict(x) for x in recipe.phases[: number + 1]]}
    text = json.dumps([2, architecture, recipe, source.folder.name, seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def train(
    architecture: str, source: SourceSet, folder: Path, *, seed: int, recipe: Recipe | None = None,
    make: Callable | None = None, report: Callable[[str], None] = print,
) -> tuple[keras.Model, pd.DataFrame]:  # fmt: skip
    """Train all phases of a backbone; continues where it was interrupted.

    Parameters
    ----------
    folder : Path
        Receives the state of the running phase and the product of every finished one.
    recipe : Recipe, optional
        That of `RECIPES` without.
    make : callable, optional
        Builds another backbone for a size.
    report : callable
        Receives one line per piece.

    Returns
    -------
    backbone : keras.Model
        At the size of the last phase.
    curve : DataFrame
        A row per piece: as `lib.models.training_loop.fit`, and ``phase``, ``size``, ``films``.
    """
    recipe = recipe or RECIPES[architecture]
    make = make or (lambda size: backbones.build_backbone(architecture, size=size))
    before, curves, seen = None, [], 0
    for number, phase in enumerate(recipe.phases):
        key = phase_key(architecture, recipe, number, source, seed)
        product = Path(folder) / f"phase-{number}-{key}.weights.h5"
        curve = product.with_suffix(".csv")
        last = number == len(recipe.phases) - 1
        if not curve.exists() or last:
            keras.utils.set_random_seed(derive(seed, "weights", architecture, number))
            backbone = make(phase.size)
            model = add_heads(backbone)
            if curve.exists():
                model.load_weights(product)
            elif before:
                model.load_weights(before)
        if not curve.exists():
            report(f"{architecture}: phase {number + 1} of {len(recipe.phases)}: {phase}")
            history = _train_phase(
                model, source, phase, recipe, start=seen, seed=seed, product=product, key=key,
                state=Path(folder) / f"phase-{number}.state", report=report,
            )  # fmt: skip
            write_table(curve, history.assign(phase=number, size=phase.size))
        curves.append(read_table(curve))
        before, seen = product, seen + phase.films
    table = pd.concat(curves, ignore_index=True)
    return backbone, table.assign(films=table.groupby("phase").cumcount().add(1) * recipe.piece)


def _train_phase(model, source, phase, recipe, *, start, seed, product, key, state, report):
    compile_model(model, phase, recipe)
    grids = _grids(model)

    def epoch_batches(piece):
        rows = piece_rows(source, recipe, start=start + piece * recipe.piece, seed=seed)
        return _dataset(source, rows, grids, size=phase.size, batch_size=recipe.batch_size)

    def validate(model):
        with atomic(product) as temporary:  # now, so that no kill between two steps loses it
            model.save_weights(temporary)
        return _judge(model, source, size=phase.size, batch_size=recipe.batch_size)

    schedule = training_loop.Schedule(max(1, phase.films // recipe.piece), phase.rate)
    return training_loop.fit(
        model, epoch_batches, validate, schedule, seed=seed, state=state, key=key, report=report
    )
