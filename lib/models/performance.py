"""How well a classifier does, from logits: accuracy, balanced accuracy, AUC, confusion."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy.special import log_softmax, softmax
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, roc_auc_score

from lib.models.convergence import ending
from lib.study.artefacts import manifest_path, read_table
from lib.study.errors import ArtefactError
from lib.study.paths import StudyPaths


def scores(logits: np.ndarray, labels: np.ndarray, *, classes: Sequence[str]) -> dict[str, float]:
    """Performance of one classifier on one set of films.

    Parameters
    ----------
    logits : ndarray of float, shape (films, classes)
        Unnormalised scores, in the order of the classes.
    labels : ndarray of int, shape (films,)
        True class indices.

    Returns
    -------
    dict
        ``loss`` (cross-entropy in nats), ``accuracy``, ``balanced_accuracy``, ``macro_auc`` (mean
        of the one-vs-rest areas under the ROC curve) and ``auc_<class>``. An area is NaN where a
        class, or its complement, has no film.
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    if logits.shape != (len(labels), len(classes)):
        raise ValueError(
            f"logits have shape {logits.shape}, expected {(len(labels), len(classes))} "
            "(labels × classes)"
        )
    probabilities, predicted = softmax(logits, axis=1), logits.argmax(axis=1)
    areas = {
        f"auc_{name}": float(roc_auc_score(labels == index, probabilities[:, index]))
        if 0 < (labels == index).sum() < len(labels)
        else float("nan")
        for index, name in enumerate(classes)
    }
    return {
        "loss": float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean()),
        "accuracy": float((predicted == labels).mean()),
        "balanced_accuracy": float(balanced_accuracy_score(labels, predicted)),
        "macro_auc": float(np.mean(list(areas.values()))),
        **areas,
    }


CONFIDENCE_BINS = 10
"""Equal bins of confidence for the calibration error."""


def calibration(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Whether a classifier is as sure as it is right; arrays as of `scores`.

    Returns
    -------
    dict
        ``ece``, the expected calibration error of the predicted class over `CONFIDENCE_BINS`
        (Guo et al. 2017, arXiv:1706.04599), in [0, 1]; ``brier``, the mean squared distance of the
        probabilities from the truth over all classes (Brier 1950), in [0, 2]. 0 is best in both.
    """
    probabilities = softmax(np.asarray(logits, np.float64), axis=1)
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    place = np.minimum((sure * CONFIDENCE_BINS).astype(int), CONFIDENCE_BINS - 1)
    gaps = np.bincount(place, sure - right, minlength=CONFIDENCE_BINS)
    truth = np.eye(probabilities.shape[1])[labels]
    return {
        "ece": float(np.abs(gaps).sum() / len(labels)),
        "brier": float(np.square(probabilities - truth).sum(axis=1).mean()),
    }


def confusion(
    logits: np.ndarray, labels: np.ndarray, *, classes: Sequence[str]
) -> pd.DataFrame:  # fmt: skip
    """Counts of films by true class (rows) and predicted class (columns)."""
    counts = confusion_matrix(labels, np.argmax(logits, axis=1), labels=range(len(classes)))
    return pd.DataFrame(counts, index=list(classes), columns=list(classes))


def confusion_rows(counts: pd.DataFrame) -> pd.DataFrame:
    """A table of `confusion` as rows of ``true``, ``predicted`` and ``count``."""
    return (
        counts.rename_axis("true")
        .melt(ignore_index=False, var_name="predicted", value_name="count")
        .reset_index()
    )


def true_probability(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Softmax probability of the true class of each film."""
    return softmax(np.asarray(logits, np.float64), axis=1)[np.arange(len(labels)), labels]


def prediction_table(
    manifest: pd.DataFrame, logits: np.ndarray, *, classes: Sequence[str]
) -> pd.DataFrame:
    """One row per film: id, split, true and predicted class, probability and all logits.

    Parameters
    ----------
    manifest : DataFrame
        Of the films, row by row.
    logits : array of float, shape (films, classes)
    classes : sequence of str
        In the order of the logits.
    """
    table = manifest[["image_id", "patient_id", "split", "label"]].reset_index(drop=True)
    table["predicted"] = np.asarray(classes)[np.argmax(logits, axis=1)]
    true = np.array([list(classes).index(label) for label in table["label"]], dtype=int)
    table["true_probability"] = true_probability(logits, true)
    for index, name in enumerate(classes):
        table[f"logit_{name}"] = np.asarray(logits)[:, index]
    return table


def by_split(predictions: pd.DataFrame, *, classes: Sequence[str]) -> pd.DataFrame:
    """Performance in each split of a prediction table, a row per split."""
    rows = {}
    for split, part in predictions.groupby("split", sort=False):
        rows[split] = {"n": len(part)} | scores(*told(part, classes), classes=classes)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("split")


def told(predictions: pd.DataFrame, classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Logits, shape (films, classes), and true class indices of a prediction table."""
    labels = pd.Categorical(predictions["label"], categories=list(classes)).codes
    return logits_of(predictions, classes=classes), labels


def logits_of(predictions: pd.DataFrame, *, classes: Sequence[str]) -> np.ndarray:
    """The logits of a prediction table, shape (films, classes)."""
    return predictions[[f"logit_{name}" for name in classes]].to_numpy()


def gather(
    paths: StudyPaths,
    architectures: Sequence[str],
    checkpoints: Sequence[str],
    read: Callable[[str, str], pd.DataFrame],
) -> pd.DataFrame:
    """One table of all complete checkpoints, of which there must be one.

    Its first columns are architecture and checkpoint.
    """
    found = [
        read(architecture, checkpoint).assign(architecture=architecture, checkpoint=checkpoint)
        for architecture in architectures
        for checkpoint in checkpoints
        if manifest_path(paths.checkpoint(architecture, checkpoint)).exists()
    ]
    if not found:
        raise ArtefactError(
            f"{paths.root / 'models'}: no complete checkpoint of {', '.join(architectures)}. "
            "Run 02_transfer first, or `make reproduce`."
        )
    table = pd.concat(found, ignore_index=True)
    first = ["architecture", "checkpoint"]
    return table[first + [column for column in table if column not in first]]


def performance_table(paths: StudyPaths, architectures, checkpoints, *, classes) -> pd.DataFrame:
    """Accuracy, balanced accuracy, areas and calibration by architecture, checkpoint and split.

    Parameters
    ----------
    paths : StudyPaths
    architectures, checkpoints : sequence of str
        Those that are not complete are left out. Fine-tuning started from the first checkpoint.
    classes : sequence of str
        In the order of the logits.

    Returns
    -------
    DataFrame
        ``training`` says how the training of the checkpoint ended
        (`lib.models.convergence.ENDINGS`).

    Raises
    ------
    ArtefactError
        If no checkpoint is complete.
    """

    def read(architecture: str, checkpoint: str) -> pd.DataFrame:
        predictions = read_table(paths.predictions(architecture, checkpoint))
        own, before = (
            read_table(paths.history(architecture, name)) for name in (checkpoint, checkpoints[0])
        )
        scored = by_split(predictions, classes=classes).reset_index()
        parts = predictions.groupby("split", sort=False)
        sure = [calibration(*told(part, classes)) for _, part in parts]
        return scored.join(pd.DataFrame(sure)).assign(training=ending(checkpoint, own, before))

    return gather(paths, architectures, checkpoints, read)


def history_table(paths: StudyPaths, architectures, checkpoints) -> pd.DataFrame:
    """Learning curves of all checkpoints, a row per epoch.

    Parameters
    ----------
    paths, architectures, checkpoints
        As in `performance_table`.
    """
    return gather(
        paths, architectures, checkpoints, lambda *names: read_table(paths.history(*names))
    )


def confusion_table(paths: StudyPaths, architectures, checkpoints, *, classes) -> pd.DataFrame:
    """Confusions on the test films, a row per true and predicted class.

    Parameters
    ----------
    paths, architectures, checkpoints, classes
        As in `performance_table`.
    """

    def read(architecture: str, checkpoint: str) -> pd.DataFrame:
        table = read_table(paths.predictions(architecture, checkpoint)).query("split == 'test'")
        return confusion_rows(confusion(*told(table, classes), classes=classes))

    return gather(paths, architectures, checkpoints, read)


def jointly_correct(paths: StudyPaths, architectures, checkpoints, *, classes) -> list[str]:
    """Test films that all checkpoints classify correctly, by their predictions: before any map.

    Parameters
    ----------
    paths, architectures, checkpoints, classes
        As in `performance_table`; all checkpoints must be there.

    Returns
    -------
    list of str
        ``image_id`` of the films, in the order of the predictions.
    """
    right = []
    for architecture in architectures:
        for checkpoint in checkpoints:
            table = read_table(paths.predictions(architecture, checkpoint)).query("split == 'test'")
            logits, labels = told(table, classes)
            right.append(pd.Series(logits.argmax(axis=1) == labels, table["image_id"]))
    together = pd.concat(right, axis=1).all(axis=1)
    return together.index[together].tolist()
