"""Look for what a classifier could learn from a collection other than disease.

A compilation of sources often gives its classes away by framing, exposure or shape of the film, and
repeats films across splits (DeGrave et al. 2021; Maguolo & Nanni 2021; Garcia Santa Cruz 2021).
"""

import cv2
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from lib.collection import DataError

STRONG_PROBE, ODD_ASPECT, MANY_REJECTED = 0.5, 1.1, 0.05


def thumbnail_probe(images, labels, patients, *, side=32, folds=5, seed):
    """Ask how well a linear model tells the classes apart on thumbnails alone.

    A thumbnail shows framing, exposure and anatomy but hardly a lesion. A multinomial logistic
    regression on its standardised pixels (C = 0.01: there are about as many pixels as films) is
    tested on patients that it has not seen.

    Parameters
    ----------
    images : numpy.ndarray
        (n, h, w) uint8, e.g. of `lib.image_cache.load`.
    labels, patients : sequence of str
        (n,) class and patient of each image.
    side, folds, seed : int
        Side of the thumbnail in pixels; number and seed of the folds, which are stratified by
        class and grouped by patient.

    Returns
    -------
    dict
        ``balanced_accuracy`` (mean over the folds), ``sd`` over the folds, ``chance`` (1 / number
        of classes), ``folds``, ``side``, ``features`` (pixels of a thumbnail).

    Raises
    ------
    DataError
        On lengths that differ, fewer than two classes, or fewer patients in a class than folds.
    """
    labels, patients = np.asarray(labels, dtype=str), np.asarray(patients, dtype=str)
    counts = [len(images), len(labels), len(patients)]
    if len(set(counts)) > 1:
        found = f"images, labels, patients: found {counts}"
        raise DataError(f"{found}, expected equal numbers. Pass the rows of one manifest.")
    classes = {str(name): len(set(patients[labels == name])) for name in np.unique(labels)}
    if len(classes) < 2 or folds < 2 or min(classes.values()) < folds:
        raise DataError(
            f"folds: found {folds} for patients by class {classes}, expected at least two folds, "
            "two classes and a patient of each class per fold. Lower folds or add patients."
        )
    shrunk = [cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) for image in images]
    pixels = np.asarray(shrunk, dtype=np.float32).reshape(len(shrunk), -1)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    scores = []
    # Products this small gain nothing from threads, and on a busy machine lose a factor of 20.
    with threadpool_limits(1):
        for train, test in splitter.split(pixels, labels, patients):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
            model.fit(pixels[train], labels[train])
            scores.append(balanced_accuracy_score(labels[test], model.predict(pixels[test])))
    result = {"balanced_accuracy": float(np.mean(scores)), "sd": float(np.std(scores, ddof=1))}
    settings = {"folds": folds, "side": side, "features": pixels.shape[1]}
    return result | {"chance": 1 / len(classes)} | settings


def possible_folds(manifest, *, most=5):
    """Folds that `thumbnail_probe` can make: at most one per patient of the smallest class."""
    return int(min(most, manifest.groupby("label")["patient_id"].nunique().min()))


def summarise(manifest, rejected, probe):
    """Gather counts, duplicates and findings of a collection, ready for JSON.

    Parameters
    ----------
    manifest, rejected : pandas.DataFrame
        Of `lib.image_cache.build`, the manifest with its splits assigned.
    probe : dict
        Of `thumbnail_probe`.

    Returns
    -------
    dict
        ``images`` (by class and split), ``patients``, ``patients_unknown`` (images without id),
        ``rejected`` (by reason), ``duplicates``, ``aspect_ratio`` (median of width / height by
        class), ``probe``, ``findings`` (``severity``, "warning" or "note", and ``text``).
    """
    labels, reasons = manifest["label"], rejected["reason"].str.split(" (", regex=False).str[0]
    counts = manifest.groupby(["label", "split"]).size().unstack(fill_value=0)
    aspect = (manifest["width"] / manifest["height"]).groupby(labels).median()
    audit = {
        "images": {label: _integers(row) for label, row in counts.iterrows()},
        "patients": _integers(manifest.groupby("label")["patient_id"].nunique()),
        "patients_unknown": _integers((~manifest["patient_known"]).groupby(labels).sum()),
        "rejected": _integers(reasons.value_counts()),
        "duplicates": _duplicates(manifest),
        "aspect_ratio": {label: round(float(ratio), 4) for label, ratio in aspect.items()},
        "probe": dict(probe),
    }
    found = _findings(audit, _integers(rejected["label"].value_counts().sort_index()))
    severity = ("note", "warning")
    return audit | {"findings": [{"severity": severity[bad], "text": t} for bad, t in found]}


def _integers(series):
    return {str(key): int(value) for key, value in series.items()}


def _duplicates(manifest):
    """Compare each file with the first of equal bytes; list the pairs that cross a border."""
    first = manifest.drop_duplicates("sha256").set_index("sha256").loc[manifest["sha256"]]
    here = manifest[["file", "split", "label"]].assign(first=first["file"].to_numpy())
    for column in ("split", "label"):
        here[f"other_{column}"] = here[column].to_numpy() != first[column].to_numpy()
    across = here[here["other_split"] | here["other_label"]]
    return {
        "copies": int(manifest["sha256"].duplicated().sum()),
        "across_splits": int(here["other_split"].sum()),
        "across_classes": int(here["other_label"].sum()),
        "pairs": across[["first", "file"]].head(20).to_numpy().tolist(),
    }


def _findings(audit, rejected):
    probe, ratios, copies = audit["probe"], audit["aspect_ratio"], audit["duplicates"]
    gain = (probe["balanced_accuracy"] - probe["chance"]) / (1 - probe["chance"])
    reached = f"{probe['balanced_accuracy']:.2f} where chance is {probe['chance']:.2f}"
    text = f"A linear model on thumbnails of {probe['side']} pixels reaches a balanced accuracy of"
    yield gain >= STRONG_PROBE, f"{text} {reached}: this much needs no fine structure."
    narrow, wide = min(ratios, key=ratios.get), max(ratios, key=ratios.get)
    if ratios[wide] >= ODD_ASPECT * ratios[narrow]:
        text = f"{ratios[narrow]:.2f} in {narrow}, {ratios[wide]:.2f} in {wide}"
        yield True, f"The median ratio of width to height differs ({text}) and may show the class."
    for place in ("splits", "classes"):
        if number := copies[f"across_{place}"]:
            yield True, f"{number} exact duplicates across {place}."
    for label, number in audit["patients_unknown"].items():
        if number:
            total = sum(audit["images"][label].values())
            text = f"No patient ids for class {label} ({number} of {total} images)"
            yield number == total, f"{text}: a patient's films may be on both sides of a split."
    for label, number in rejected.items():
        total = number + sum(audit["images"].get(label, {}).values())
        yield number > MANY_REJECTED * total, f"{number} of {total} files of {label} rejected."
