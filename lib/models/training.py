"""The two stages and the placebo.

Transfer trains the head on a frozen backbone; without augmentation the head alone is trained on
pooled features that are computed once, which gives the same head. Fine-tuning trains the
backbone too. The placebo repeats the fine-tuning step by step with the backbone frozen.
"""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from lib.data.batches import Films, batches, class_weights
from lib.models import backbones, performance
from lib.models.training_loop import Schedule, compile_model, fit, predict
from lib.study.artefacts import read_table
from lib.study.params import Finetune, Runtime, Transfer
from lib.study.seeds import derive


def kept_epoch(history_file: Path) -> int:
    """The epoch whose weights a fine-tuned checkpoint has, from its learning curve."""
    history = read_table(history_file)
    return int(history.loc[history["kept"], "epoch"].iloc[0])


def train_transfer(
    model: keras.Model,
    train: Films,
    validation: Films,
    params: Transfer,
    *,
    classes: tuple[str, ...],
    runtime: Runtime,
    seed: int,
    state: Path,
    key: str = "",
    features: np.ndarray | None = None,
    report: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Stage one: train the head of `model` in place on its frozen backbone.

    Parameters
    ----------
    features : ndarray of float32, shape (rows of the image cache, channels), optional
        Pooled features of all films, from `pooled_features`. Given them and without augmentation
        the head alone is trained, which gives the same head as training through the backbone.

    Returns
    -------
    DataFrame
        As `fit`.
    """
    schedule = Schedule(params.epochs, params.learning_rate, patience=params.patience)
    return _train_head(
        model, train, validation, params, schedule, classes=classes, runtime=runtime, seed=seed,
        state=state, key=key, features=features, report=report,
    )  # fmt: skip


def train_placebo(
    model: keras.Model,
    train: Films,
    validation: Films,
    params: Finetune,
    *,
    kept_epoch: int,
    classes: tuple[str, ...],
    runtime: Runtime,
    seed: int,
    state: Path,
    key: str = "",
    features: np.ndarray | None = None,
    report: Callable[[str], None] = print,
) -> pd.DataFrame:
    """The matched-operator null: the steps of the fine-tuning with the backbone frozen.

    Same optimiser, schedule, order of films and dropout seeds, and exactly as many epochs as the
    kept fine-tuned checkpoint had seen (`kept_epoch`); nothing is selected.
    """
    schedule = Schedule(
        params.epochs, params.learning_rate, params.warmup_epochs, stop_after=kept_epoch
    )
    return _train_head(
        model, train, validation, params, schedule, classes=classes, runtime=runtime, seed=seed,
        state=state, key=key, features=features, report=report,
    )  # fmt: skip


def train_finetune(
    model: keras.Model,
    train: Films,
    validation: Films,
    params: Finetune,
    *,
    classes: tuple[str, ...],
    runtime: Runtime,
    seed: int,
    state: Path,
    key: str = "",
    report: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Stage two: train head and backbone of `model` in place, best validation loss kept."""
    schedule = Schedule(
        params.epochs, params.learning_rate, params.warmup_epochs, patience=params.patience
    )
    backbones.set_trainable(model, from_stage=params.from_stage, batch_norm=params.batch_norm)
    return _train_films(
        model, train, validation, params, schedule, classes=classes, runtime=runtime, seed=seed,
        state=state, key=key, report=report,
    )  # fmt: skip


def _train_head(
    model, train, validation, params, schedule, *, features, **options
) -> pd.DataFrame:  # fmt: skip
    backbones.set_trainable(model, from_stage=None)
    if features is None or params.augmentation.active:  # a distorted film has new features
        return _train_films(model, train, validation, params, schedule, **options)
    return _train_features(model, train, validation, params, schedule, features, **options)


def _train_films(
    model, train, validation, params, schedule, *, classes, runtime, seed, state, key, report
) -> pd.DataFrame:
    steps = -(-len(train) // params.batch_size)
    compile_model(model, schedule, steps_per_epoch=steps, runtime=runtime)
    weights = class_weights(train.labels, classes=len(classes)) if params.class_weights else None
    return fit(
        model,
        lambda epoch: batches(
            train, batch_size=params.batch_size, shuffle_seed=derive(seed, "shuffle", epoch),
            augmentation=params.augmentation, weights=weights,
        ),
        lambda model: performance.scores(
            predict(model, validation, batch_size=params.batch_size), validation.labels,
            classes=classes,
        ),
        schedule, seed=seed, state=state, key=key, report=report,
    )  # fmt: skip


def pooled_features(model: keras.Model, images: np.ndarray, *, batch_size: int) -> np.ndarray:
    """Compute the input of the head, the global average of the last feature map.

    Parameters
    ----------
    model : keras.Model
    images : ndarray of uint8, shape (n, size, size)
    batch_size : int

    Returns
    -------
    ndarray of float32, shape (n, channels)
    """
    extractor = keras.Model(model.input, model.get_layer("average_pool").output)
    rows = np.arange(len(images))
    features = predict(extractor, Films(images, rows, np.zeros_like(rows)), batch_size=batch_size)
    return features.astype(np.float32)


def head_logits(model: keras.Model, features: np.ndarray) -> np.ndarray:
    """Logits of pooled features, float32, shape (n, classes)."""
    kernel, bias = model.get_layer("logits").get_weights()
    return features @ kernel + bias


def _train_features(
    model, train, validation, params, schedule, features, *, classes, runtime, seed, state, key,
    report,
) -> pd.DataFrame:  # fmt: skip
    of_train, held_out = features[train.rows], features[validation.rows]
    weights = class_weights(train.labels, classes=len(classes)) if params.class_weights else None
    sample = np.ones(len(train), np.float32) if weights is None else weights[train.labels]

    logits, dropout = model.get_layer("logits"), model.get_layer("head_dropout")
    head = keras.Sequential(
        [
            keras.Input(features.shape[1:]),
            keras.layers.Dropout(dropout.rate),
            keras.layers.Dense(len(classes), dtype="float32"),
        ]
    )
    head.layers[-1].set_weights(logits.get_weights())
    steps = -(-len(train) // params.batch_size)
    compile_model(head, schedule, steps_per_epoch=steps, runtime=runtime)

    def epoch_batches(epoch: int) -> tf.data.Dataset:
        order = np.random.default_rng(derive(seed, "shuffle", epoch)).permutation(len(of_train))
        arrays = (of_train[order], train.labels[order], sample[order])
        return tf.data.Dataset.from_tensor_slices(arrays).batch(params.batch_size)

    def validate(head: keras.Model) -> dict[str, float]:
        outputs = head.predict(held_out, batch_size=params.batch_size, verbose=0)
        return performance.scores(outputs, validation.labels, classes=classes)

    history = fit(
        head, epoch_batches, validate, schedule, seed=seed, state=state, key=key, report=report
    )
    logits.set_weights(head.layers[-1].get_weights())
    return history
