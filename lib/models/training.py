"""The two stages and the placebo.

Transfer trains the head on a frozen backbone; without augmentation the head alone is trained on
pooled features that are computed once, which gives the same head. Fine-tuning trains the
backbone too. The placebo repeats the fine-tuning step by step with the backbone frozen; another
control repeats it with the labels of other films.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from lib.data.batches import Films, batches, class_weights
from lib.models import backbones, performance
from lib.models.training_loop import Schedule, compile_model, fit, predict
from lib.study.artefacts import read_table
from lib.study.params import Finetune, Fractal, Runtime, Transfer
from lib.study.seeds import derive


def kept_epoch(history_file: Path) -> int:
    """The epoch whose weights a fine-tuned checkpoint has, from its learning curve."""
    history = read_table(history_file)
    return int(history.loc[history["kept"], "epoch"].iloc[0])


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training: on which films, with which settings, and where its state lies.

    Attributes
    ----------
    seed : int
        Of the order of films and of dropout.
    state, epochs, key
        See `lib.models.training_loop.fit`.
    report : callable
        Receives one line per epoch.
    """

    train: Films
    validation: Films
    params: Transfer | Finetune | Fractal
    classes: tuple[str, ...]
    runtime: Runtime
    seed: int
    state: Path
    epochs: Path | None = None
    key: str = ""
    report: Callable[[str], None] = print

    @property
    def class_weights(self) -> np.ndarray | None:
        """Weight of each class, or None where all films count alike."""
        wanted = self.params.class_weights
        return class_weights(self.train.labels, classes=len(self.classes)) if wanted else None

    def schedule(self, **changes) -> Schedule:
        """What the parameters say of it, but for the changes."""
        said = self.params.model_dump(include={each.name for each in fields(Schedule)})
        return Schedule(**said | changes)

    def fit(self, model: keras.Model, schedule: Schedule, epoch_batches, predictions):
        """Compile and train a model; `predictions` gives its outputs on the validation films."""
        steps = -(-len(self.train) // self.params.batch_size)
        compile_model(model, schedule, steps_per_epoch=steps, runtime=self.runtime)

        def validate(model: keras.Model) -> dict[str, float]:
            labels = self.validation.labels
            return performance.scores(predictions(model), labels, classes=self.classes)

        return fit(
            model, epoch_batches, validate, schedule, seed=self.seed, state=self.state,
            epochs=self.epochs, key=self.key, report=self.report,
        )  # fmt: skip


def train_transfer(
    model: keras.Model, run: Run, *, features: np.ndarray | None = None
) -> pd.DataFrame:  # fmt: skip
    """Stage one: train the head of a classifier on its frozen backbone.

    Parameters
    ----------
    model : keras.Model
        Trained in place.
    run : Run
    features : ndarray of float32, shape (all films, channels), optional
        `pooled_features` of all films. With them, and without augmentation, the head alone is
        trained, which gives the same head as training through the backbone.

    Returns
    -------
    DataFrame
        As `training_loop.fit`.
    """
    return _train_head(model, run, run.schedule(), features)


def train_placebo(
    model: keras.Model, run: Run, *, kept_epoch: int, features: np.ndarray | None = None
) -> pd.DataFrame:
    """The matched-operator null: the steps of the fine-tuning with the backbone frozen.

    Same optimiser, schedule, order of films and dropout seeds; nothing is selected.

    Parameters
    ----------
    model, run, features
        As in `train_transfer`.
    kept_epoch : int
        How many epochs the kept fine-tuned checkpoint had seen; as many are trained.
    """
    schedule = run.schedule(patience=None, stop_after=kept_epoch)
    return _train_head(model, run, schedule, features)


def train_shuffled(model: keras.Model, run: Run, *, kept_epoch: int) -> pd.DataFrame:
    """The steps of the fine-tuning with labels that belong to other training films.

    As many films of each class as before, so that class weights and the prior stay; the films keep
    their order. Nothing is selected.

    Parameters
    ----------
    model, run
        As in `train_transfer`.
    kept_epoch : int
        As in `train_placebo`.
    """
    generator = np.random.default_rng(derive(run.seed, "shuffled labels"))
    labels = generator.permutation(run.train.labels)
    run = replace(run, train=replace(run.train, labels=labels))
    backbones.set_trainable(
        model, from_stage=run.params.from_stage, batch_norm=run.params.batch_norm
    )
    return _train_films(model, run, run.schedule(patience=None, stop_after=kept_epoch))


def train_finetune(model: keras.Model, run: Run) -> pd.DataFrame:
    """Stage two: train head and backbone of `model` in place, best validation loss kept."""
    params = run.params
    backbones.set_trainable(model, from_stage=params.from_stage, batch_norm=params.batch_norm)
    return _train_films(model, run, run.schedule())


def _train_head(model, run: Run, schedule: Schedule, features) -> pd.DataFrame:
    backbones.set_trainable(model, from_stage=None)
    if features is None or run.params.augmentation.active:  # a distorted film has new features
        return _train_films(model, run, schedule)
    return _train_features(model, run, schedule, features)


def _train_films(model, run: Run, schedule: Schedule) -> pd.DataFrame:
    size, weights = run.params.batch_size, run.class_weights
    return run.fit(
        model, schedule,
        lambda epoch: batches(
            run.train, batch_size=size, shuffle_seed=derive(run.seed, "shuffle", epoch),
            augmentation=run.params.augmentation, weights=weights,
        ),
        lambda model: predict(model, run.validation, batch_size=size),
    )  # fmt: skip


def pooled_features(model: keras.Model, images: np.ndarray, *, batch_size: int) -> np.ndarray:
    """Input of the head, the global average of the last feature map.

    Parameters
    ----------
    model : keras.Model
        Of `lib.models.backbones.build`.
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


def _train_features(model, run: Run, schedule: Schedule, features) -> pd.DataFrame:
    of_train, held_out = features[run.train.rows], features[run.validation.rows]
    size, labels, weights = run.params.batch_size, run.train.labels, run.class_weights
    sample = np.ones(len(labels), np.float32) if weights is None else weights[labels]
    logits, dropout = model.get_layer("logits"), model.get_layer("head_dropout")
    head = keras.Sequential(
        [
            keras.Input(features.shape[1:]),
            keras.layers.Dropout(dropout.rate),
            keras.layers.Dense(len(run.classes), dtype="float32"),
        ]
    )
    head.layers[-1].set_weights(logits.get_weights())

    def epoch_batches(epoch: int) -> tf.data.Dataset:
        order = np.random.default_rng(derive(run.seed, "shuffle", epoch)).permutation(len(labels))
        arrays = (of_train[order], labels[order], sample[order])
        return tf.data.Dataset.from_tensor_slices(arrays).batch(size)

    history = run.fit(
        head, schedule, epoch_batches,
        lambda head: head.predict(held_out, batch_size=size, verbose=0),
    )  # fmt: skip
    logits.set_weights(head.layers[-1].get_weights())
    return history
