"""How far models come that cannot see disease: the yardstick for every accuracy of the study.

Each probe is a linear model on something that carries next to no pathology, tested on patients that
it has not seen (DeGrave et al. 2021; Maguolo & Nanni 2021).
"""

import cv2
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from lib.data.audit.measures import NUMBERS
from lib.study.errors import DataError

DESCRIPTIONS = {
    "trivial": "shape, exposure, border and sharpness",
    "trivial_without_shape": "exposure, border and sharpness",
    "border": "the outermost pixels",
    "thumbnail_16": "thumbnails of 16 pixels",
    "metadata": "the format of the file and facts beside it",
}
METADATA, MOST_LEVELS = ("view", "age", "sex"), 20


def linear_probe(features, labels, patients, *, folds=5, seed, strength=0.01):
    """Ask how well a linear model tells the classes apart: a multinomial logistic regression.

    Parameters
    ----------
    features : numpy.ndarray
        (n, k) numbers; they are standardised.
    labels, patients : sequence of str
        (n,) class and patient (or group) of each image; folds are stratified and grouped by them.
    strength : float
        C of the regression; low where there are about as many features as films.

    Returns
    -------
    dict
        ``balanced_accuracy`` (mean over the folds), ``sd`` over the folds, ``chance`` (1 / number
        of classes), ``folds``, ``features`` (their number).

    Raises
    ------
    DataError
        On fewer than two classes, or fewer patients in a class than folds.
    """
    labels, patients = np.asarray(labels, dtype=str), np.asarray(patients, dtype=str)
    classes = {str(name): len(set(patients[labels == name])) for name in np.unique(labels)}
    if len(classes) < 2 or folds < 2 or min(classes.values()) < folds:
        raise DataError(
            f"folds: found {folds} for patients by class {classes}, expected at least two folds, "
            "two classes and a patient of each class per fold. Lower folds or add patients."
        )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    scores = []
    # Products this small gain nothing from threads, and on a busy machine lose a factor of 20.
    with threadpool_limits(1):
        for train, test in splitter.split(features, labels, patients):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=500))
            model.fit(features[train], labels[train])
            scores.append(balanced_accuracy_score(labels[test], model.predict(features[test])))
    return {
        "balanced_accuracy": float(np.mean(scores)),
        "sd": float(np.std(scores, ddof=1)),
        "chance": 1 / len(classes),
        "folds": folds,
        "features": features.shape[1],
    }


def thumbnail_probe(images, labels, patients, *, side=32, folds=5, seed):
    """`linear_probe` on thumbnails, which show framing, exposure and anatomy but hardly a lesion.

    Parameters
    ----------
    images : numpy.ndarray
        (n, h, w) squares.
    labels, patients, folds, seed
        As in `linear_probe`.
    side : int
        Of a thumbnail in pixels; the result has it as ``side``.
    """
    pixels = thumbnails(images, side).reshape(len(images), -1)
    return linear_probe(pixels, labels, patients, folds=folds, seed=seed) | {"side": side}


def possible_folds(manifest):
    """Folds that `linear_probe` can make: 5, but at most one per patient of the smallest class."""
    return int(min(5, manifest.groupby("label")["patient_id"].nunique().min()))


def thumbnails(images, side):
    """Shrink squares to float32 (n, side, side) by averaging areas."""
    shrunk = [cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) for image in images]
    return np.asarray(shrunk, dtype=np.float32).reshape(-1, side, side)


def shape_features(manifest):
    """Logarithms of width, height and their ratio, (n, 3)."""
    width, height = (np.log(manifest[side].to_numpy(float)) for side in ("width", "height"))
    return np.column_stack([width, height, width - height])


def border_features(small):
    """Pixels of the outermost sixteenth of thumbnails (n, s, s), as (n, k)."""
    edge = max(1, small.shape[1] // 16)
    inside = np.zeros(small.shape[1:], bool)
    inside[edge:-edge, edge:-edge] = True
    return small[:, ~inside]


def metadata_features(manifest, measures):
    """Format, depth, colour and bytes per pixel of the file, and view, age, sex where known.

    Numbers are as they are, the median where unknown, and the commonest words indicators: (n, k).
    """
    area = manifest["width"].to_numpy(float) * manifest["height"].to_numpy(float)
    table = {"density": np.log(measures["bytes"].to_numpy(float) / area)}
    words = [measures[column] for column in ("format", "bits", "colour")]
    for column in (column for column in METADATA if column in manifest):
        numbers = pd.to_numeric(manifest[column], errors="coerce")
        if numbers.notna().mean() > 0.5:
            table[column] = numbers.fillna(numbers.median()).to_numpy(float)
        else:
            words.append(manifest[column].str.strip().str.upper())
    columns = [np.column_stack(list(table.values()))]
    for word in words:
        word = word.astype(str)
        common = word.where(word.isin(word.value_counts().index[:MOST_LEVELS]), "other")
        columns.append(pd.get_dummies(common.reset_index(drop=True)).to_numpy(float))
    return np.column_stack(columns)


def all_probes(manifest, measures, images, *, groups=None, folds, seed, names=tuple(DESCRIPTIONS)):
    """Run the probes of `DESCRIPTIONS`.

    Parameters
    ----------
    manifest : pandas.DataFrame
        Of `lib.data.cache.build`, n rows.
    measures : pandas.DataFrame
        Of `lib.data.audit.measures.measure`, row by row.
    images : numpy.ndarray
        (n, h, w) squares, row by row: borders and thumbnails are those that a model sees.
    groups : sequence of str, optional
        Kept in one fold; the patients by default.
    folds, seed : int
        As in `linear_probe`.
    names : sequence of str
        Which of `DESCRIPTIONS`.

    Returns
    -------
    dict of str to dict
        By name: `linear_probe` and ``description``.
    """
    small = thumbnails(images, 32)
    numbers = measures[list(NUMBERS)].to_numpy(float)
    features = {
        "trivial": (np.column_stack([shape_features(manifest), numbers]), 1.0),
        "trivial_without_shape": (numbers, 1.0),
        "border": (border_features(small), 0.01),
        "thumbnail_16": (thumbnails(images, 16).reshape(len(images), -1), 0.01),
        "metadata": (metadata_features(manifest, measures), 1.0),
    }
    groups = manifest["patient_id"] if groups is None else groups
    return {
        name: linear_probe(
            values, manifest["label"], groups, folds=folds, seed=seed, strength=strength
        ) | {"description": DESCRIPTIONS[name]}
        for name, (values, strength) in features.items()
        if name in names
    }  # fmt: skip
