"""How good a source of weights is: a linear model on its pooled features, on the study's films.

The probe is the transfer stage without its optimiser: features of the frozen backbone, its
batch-norm statistics recalibrated on the training films, and a multinomial logistic regression.
"""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from lib.data import cache
from lib.data.batches import Films, batches
from lib.data.index import read_index
from lib.data.phantoms.cohort import write_cohort
from lib.data.splits import assign_splits
from lib.models import backbones
from lib.study.artefacts import read_table, write_table
from lib.study.params import Params
from lib.study.paths import resolve
from lib.study.seeds import derive

STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03)
"""C of the regression; the one with the best macro AUC on the validation films is used."""
FOLDS, FOLD_STRENGTH = 5, 0.03
"""Of `cross_validated`; fixed, so that nothing is chosen on the films that judge."""


def prepare(params: Params, folder: Path) -> pd.DataFrame:
    """The films of a study as arrays, dealt to splits as notebook 1 does; made once.

    Returns
    -------
    DataFrame
        The manifest; ``images_<size>.npy`` lie beside it.
    """
    table = Path(folder) / "manifest.csv"
    if not table.exists():
        source = resolve(params.data.source)
        if params.data.source == "phantom":
            source = write_cohort(
                params.data.phantom, Path(folder) / "phantoms", classes=params.classes,
                seed=derive(params.seed, "cohort"),
            )  # fmt: skip
        index = read_index(source, classes=params.classes)
        accepted, _ = cache.build(
            index, source if source.is_dir() else source.parent, sizes=params.sizes,
            aspect=params.data.aspect, folder=folder,
        )  # fmt: skip
        manifest = assign_splits(
            accepted, fractions=params.data.split.model_dump(), seed=derive(params.seed, "split")
        )
        write_table(table, manifest)
    return read_table(table)


def features(backbone: keras.Model, images: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Pooled features after recalibration of batch normalisation on the training films.

    Parameters
    ----------
    backbone : keras.Model
        Changed in place: its statistics become those of the films.
    images : ndarray of uint8, shape (n, size, size)
    train : ndarray of int
        Rows of the training films.
    """
    rows = np.random.default_rng(0).permutation(train)
    some = Films(images, rows, np.zeros(len(rows), int))
    backbones.recalibrate_batch_norm(backbone, (x for x, *_ in batches(some, batch_size=32)))
    pooled = keras.layers.GlobalAveragePooling2D(dtype="float32")(backbone.output)
    every = Films(images, np.arange(len(images)), np.zeros(len(images), int))
    return keras.Model(backbone.input, pooled).predict(batches(every, batch_size=32), verbose=0)


def probe(values: np.ndarray, manifest: pd.DataFrame) -> dict[str, float]:
    """Macro AUC and balanced accuracy of a logistic regression on test films.

    Parameters
    ----------
    values : ndarray of float, shape (n, k)
    manifest : DataFrame
        ``label`` and ``split`` of each row.

    Returns
    -------
    dict
        ``macro_auc``, ``balanced_accuracy``, ``strength`` (C), ``train`` and ``test`` (films), and
        ``cross_validated``, of all films together.
    """
    labels, rows = manifest["label"].to_numpy(), {}
    for split in ("train", "validation", "test"):
        rows[split] = np.flatnonzero(manifest["split"] == split)
    best = None
    with threadpool_limits(1):
        for strength in STRENGTHS:
            model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
            model.fit(values[rows["train"]], labels[rows["train"]])
            auc = _macro_auc(model, values, labels, rows["validation"])
            if best is None or auc > best[0]:
                best = auc, strength, model
    _, strength, model = best
    test = rows["test"]
    return {
        "macro_auc": _macro_auc(model, values, labels, test),
        "balanced_accuracy": float(
            balanced_accuracy_score(labels[test], model.predict(values[test]))
        ),
        "strength": strength,
        "train": len(rows["train"]),
        "test": len(test),
        "cross_validated": cross_validated(values, manifest),
    }


def cross_validated(values: np.ndarray, manifest: pd.DataFrame) -> dict[str, float]:
    """The same regression on all films, in folds that keep a patient's films together.

    One split of a small collection leaves about 0.01 of chance in the AUC; five folds judge every
    film once. (The statistics of batch normalisation have seen films of all folds, unlabelled.)

    Parameters
    ----------
    values : ndarray of float, shape (n, k)
    manifest : DataFrame
        ``label`` and ``patient_id`` of each row.

    Returns
    -------
    dict
        Means over the folds of ``macro_auc`` and ``balanced_accuracy``, and ``macro_auc_sd``.
    """
    labels, scores = manifest["label"].to_numpy(), []
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    with threadpool_limits(1):
        for train, test in folds.split(values, labels, manifest["patient_id"]):
            model = make_pipeline(
                StandardScaler(), LogisticRegression(C=FOLD_STRENGTH, max_iter=2000)
            )
            model.fit(values[train], labels[train])
            balanced = balanced_accuracy_score(labels[test], model.predict(values[test]))
            scores.append((_macro_auc(model, values, labels, test), balanced))
    auc, balanced = np.mean(scores, axis=0)
    return {
        "macro_auc": float(auc),
        "macro_auc_sd": float(np.std(scores, axis=0, ddof=1)[0]),
        "balanced_accuracy": float(balanced),
    }


def _macro_auc(model, values, labels, rows) -> float:
    chances = model.predict_proba(values[rows])
    aucs = [
        roc_auc_score(labels[rows] == name, chances[:, column])
        for column, name in enumerate(model.classes_)
    ]
    return float(np.mean(aucs))
