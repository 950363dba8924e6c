"""How good a source of weights is: a linear model on its pooled features, on the study's films.

The probe is the transfer stage without its optimiser: features of the frozen backbone, its
batch-norm statistics recalibrated on the training films, and a multinomial logistic regression.
"""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from lib.data import cache
from lib.data.batches import Films, batches
from lib.data.index import read_index
from lib.data.phantoms.cohort import write_cohort
from lib.data.splits import assign_splits
from lib.models import backbones, performance
from lib.study.artefacts import read_table, write_table
from lib.study.names import SPLITS
from lib.study.params import Params
from lib.study.paths import resolve
from lib.study.seeds import derive

STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03)
"""C of the regression; the one with the best macro AUC on the validation films is used."""


def prepare(params: Params, folder: Path) -> pd.DataFrame:
    """The manifest of a study's films, dealt to splits as notebook 1 does; made once.

    ``images_<size>.npy`` lie beside it.
    """
    table = folder / "manifest.csv"
    if not table.exists():
        source = resolve(params.data.source)
        if params.data.source == "phantom":
            source = write_cohort(
                params.data.phantom, folder / "phantoms", classes=params.classes,
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
    """Pooled features of films, with the statistics of the training films.

    Parameters
    ----------
    backbone : keras.Model
        Its batch normalisation is recalibrated in place.
    images : ndarray of uint8, shape (n, size, size)
    train : ndarray of int
        Rows of the training films; at least one.

    Returns
    -------
    ndarray of float32, shape (n, channels)
    """
    rows = np.random.default_rng(0).permutation(train)
    some = Films(images, rows, np.zeros(len(rows), int))
    backbones.recalibrate_batch_norm(backbone, (x for x, *_ in batches(some, batch_size=32)))
    pooled = keras.layers.GlobalAveragePooling2D(dtype="float32")(backbone.output)
    every = Films(images, np.arange(len(images)), np.zeros(len(images), int))
    return keras.Model(backbone.input, pooled).predict(batches(every, batch_size=32), verbose=0)


def probe(values: np.ndarray, manifest: pd.DataFrame) -> dict[str, float]:
    """How well a logistic regression on values, (n, k), does on test films.

    Returns
    -------
    dict
        ``macro_auc``, ``balanced_accuracy``, ``strength`` (C), ``train`` and ``test`` (films).
    """
    names, labels = np.unique(manifest["label"], return_inverse=True)
    rows = {split: np.flatnonzero(manifest["split"] == split) for split in SPLITS}

    def judged(model, split):
        logits = model.predict_log_proba(values[rows[split]])
        return performance.scores(logits, labels[rows[split]], classes=names)

    found = {}
    with threadpool_limits(1):
        for strength in STRENGTHS:
            model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
            model.fit(values[rows["train"]], labels[rows["train"]])
            found[strength] = [judged(model, split) for split in ("validation", "test")]
    strength = max(found, key=lambda each: found[each][0]["macro_auc"])
    _, test = found[strength]
    return {
        "macro_auc": test["macro_auc"],
        "balanced_accuracy": test["balanced_accuracy"],
        "strength": strength,
        "train": len(rows["train"]),
        "test": len(rows["test"]),
    }
