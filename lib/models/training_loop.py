"""One training loop for every stage: a schedule of Adam, resumable after every epoch."""

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from lib.data.batches import Films, batches
from lib.models.convergence import epochs_without_gain
from lib.study.artefacts import atomic, write_json
from lib.study.errors import ArtefactError
from lib.study.params import Runtime
from lib.study.seeds import derive


@dataclass(frozen=True)
class Schedule:
    """How long and how fast one stage trains.

    Attributes
    ----------
    epochs : int
        Most epochs; also the length of the cosine decay.
    learning_rate, warmup_epochs : float
        Peak rate of Adam, and the length of the linear warm-up from 0.
    patience : int or None
        Epochs without a gain in validation loss before stopping, and the best epoch is kept;
        None trains all epochs and keeps the last.
    tolerance : float
        Smallest gain that counts, in nats; see `lib.models.convergence`.
    stop_after : int or None
        Stop after this many epochs of the schedule (the placebo's match of the kept epoch).
    """

    epochs: int
    learning_rate: float
    warmup_epochs: float = 0.0
    patience: int | None = None
    tolerance: float = 0.0
    stop_after: int | None = None


def decay(peak: float, *, steps: int, warmup: int, lowest: float):
    """A rate with linear warm-up from 0 to its peak and cosine decay to a share of it."""
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else peak, max(1, steps - warmup), alpha=lowest,
        warmup_target=peak if warmup else None, warmup_steps=warmup,
    )  # fmt: skip


def optimizer(schedule: Schedule, *, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Adam with linear warm-up and cosine decay to a tenth of the peak rate."""
    steps, warmup = (round(n * steps_per_epoch) for n in (schedule.epochs, schedule.warmup_epochs))
    rate = decay(schedule.learning_rate, steps=steps, warmup=warmup, lowest=0.1)
    return keras.optimizers.Adam(rate, clipnorm=1.0)


def compile_model(
    model: keras.Model, schedule: Schedule, *, steps_per_epoch: int, runtime: Runtime
) -> None:
    """Compile for logits; XLA is set explicitly, because Keras's "auto" differs by device."""
    model.compile(
        optimizer(schedule, steps_per_epoch=steps_per_epoch),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=runtime.jit_compile,
    )


def fit(
    model: keras.Model,
    epoch_batches: Callable[[int], tf.data.Dataset],
    validate: Callable[[keras.Model], dict[str, float]],
    schedule: Schedule,
    *,
    seed: int,
    state: Path | None = None,
    epochs: Path | None = None,
    key: str = "",
    report: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Train a compiled model in place; resume from `state` if an earlier run was interrupted.

    Parameters
    ----------
    model : keras.Model
        Compiled; keeps the weights of the best epoch (last, without patience) at the end.
    epoch_batches : callable
        Batches of epoch 0, 1, …; the same for the same number in every process.
    validate : callable
        Performance of the model on validation films; must have ``loss``.
    seed : int
        Seed of the dropout masks, renewed every epoch so that a resumed run equals an unbroken one.
    state : Path, optional
        Folder for the state of the last complete epoch; removed at the end.
    epochs : Path, optional
        Folder that receives the weights after every epoch, `epoch_file`; needs `state`.
    key : str
        Identity of the run; a state with another key is discarded.
    report : callable
        Receives one line per epoch.

    Returns
    -------
    DataFrame
        A row per epoch: ``epoch`` (from 1), ``train_loss``, ``steps`` (cumulative), the validation
        performance, ``kept`` (True in the row whose weights the model now has) and ``converged``
        (whether it was by then; None without patience).
    """
    rows = _restore(model, state, key) if state else []
    best = min(rows, key=lambda row: row["loss"]) if rows else None
    last = min(schedule.epochs, schedule.stop_after or schedule.epochs)
    for epoch in range(len(rows), last):
        if _converged(rows, schedule):
            break
        _reseed(model, derive(seed, "dropout", epoch))
        history = model.fit(epoch_batches(epoch), epochs=1, shuffle=False, verbose=0).history
        row = {"epoch": epoch + 1, "train_loss": float(history["loss"][0])}
        if not np.isfinite(row["train_loss"]):
            raise ArithmeticError(
                f"the training loss is {row['train_loss']} in epoch {epoch + 1}; lower the "
                "learning rate or lengthen the warm-up"
            )
        row |= {"steps": int(model.optimizer.iterations.numpy())} | validate(model)
        rows.append(row)
        if best is None or row["loss"] < best["loss"]:
            best = row
        if epochs:
            with atomic(epoch_file(state / "epochs", epoch + 1)) as temporary:
                np.savez(temporary, *model.get_weights())
        if state:
            _save(model, state, key, rows, is_best=best is row)
        report(
            f"epoch {epoch + 1}/{last}: training loss {row['train_loss']:.3f}, "
            f"validation loss {row['loss']:.3f}, macro AUC {row.get('macro_auc', np.nan):.3f}"
        )
    kept = best if schedule.patience else rows[-1]
    if state:
        if kept is not rows[-1]:
            model.load_weights(state / "best.weights.h5")
        if epochs:
            shutil.rmtree(epochs, ignore_errors=True)
            (state / "epochs").replace(epochs)
        shutil.rmtree(state)
    elif kept is not rows[-1]:
        raise ValueError("keeping the best epoch needs a state folder")
    converged = [_converged(rows[: count + 1], schedule) for count in range(len(rows))]
    return pd.DataFrame(rows).assign(kept=[row is kept for row in rows], converged=converged)


def epoch_file(folder: Path, epoch: int) -> Path:
    """File of the weights, or of the maps, after an epoch (from 1)."""
    return folder / f"epoch-{epoch:03d}.npz"


def load_epoch(model: keras.Model, file: Path) -> None:
    """Give a model of the same layers the weights that `fit` kept of an epoch."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            model.set_weights([arrays[name] for name in arrays.files])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ArtefactError(
            f"{file}: not the weights of an epoch of this network ({error}). Delete the folder and "
            "the checkpoint beside it, and run again."
        ) from error


def _converged(rows: list[dict], schedule: Schedule) -> bool | None:
    if schedule.patience is None:
        return None
    losses = [row["loss"] for row in rows]
    return epochs_without_gain(losses, schedule.tolerance) >= schedule.patience


def _reseed(model: keras.Model, seed: int) -> None:
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:
            layer.seed_generator.state.assign(np.array([seed, 0], dtype="uint32"))


def _save(model: keras.Model, state: Path, key: str, rows: list[dict], *, is_best: bool) -> None:
    # The JSON file is written last and names the weights (the optimiser's variables are in the same
    # file): a kill in between leaves the older pair.
    weights = state / f"epoch-{len(rows):04d}.weights.h5"
    with atomic(weights) as temporary:
        model.save_weights(temporary)
    if is_best:
        with atomic(state / "best.weights.h5") as temporary:
            shutil.copyfile(weights, temporary)
    write_json(state / "state.json", {"key": key, "weights": weights.name, "rows": rows})
    for old in state.glob("epoch-*"):
        if old != weights:
            old.unlink()


def _restore(model: keras.Model, state: Path, key: str) -> list[dict]:
    try:
        saved = json.loads((state / "state.json").read_text(encoding="utf-8"))
        weights = state / saved["weights"]
        if saved["key"] != key or not weights.exists():
            raise ValueError("the state of another run, or incomplete")
    except (OSError, ValueError, KeyError):
        shutil.rmtree(state, ignore_errors=True)
        return []
    model.optimizer.build(model.trainable_variables)  # so that its variables are read too
    model.load_weights(weights)
    return saved["rows"]


def predict(model: keras.Model, data: Films, *, batch_size: int) -> np.ndarray:
    """Outputs of the model on films, in order; float32, shape (films, …).

    Parameters
    ----------
    model : keras.Model
    data : Films
    batch_size : int
    """
    return model.predict(batches(data, batch_size=batch_size), verbose=0)
