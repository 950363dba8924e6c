"""A phantom cohort as files, so that phantoms and films enter the study through the same door."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from lib.data.phantoms.draw import cohort, draw
from lib.study.artefacts import write_table
from lib.study.data_params import PhantomData
from lib.study.errors import ArtefactError


def write_cohort(
    params: PhantomData,
    folder: Path,
    *,
    classes: Sequence[str],
    seed: int,
    report: Callable[[int, int], None] | None = None,
) -> Path:
    """Draw a cohort into PNG files with lung and lesion masks, and index it.

    Parameters
    ----------
    folder : Path
        Receives ``films``, ``lungs``, ``lesions``, with a shortcut also ``markers``, and the index.
    classes : sequence of str
        Some of `lib.study.names.CLASSES`.
    report : callable, optional
        Receives (images done, images in all).

    Returns
    -------
    Path
        The index ``phantoms.csv``: ``image_id``, ``file``, ``label``, ``patient_id``,
        ``lung_mask``, ``lesion_mask``, ``marker``, with a shortcut also ``marker_mask``; as
        `lib.data.index.read_index` takes it.
    """
    images = cohort(
        seed=seed, patients_per_class=params.patients_per_class, classes=tuple(classes),
        images_per_patient=params.images_per_patient, shortcut=params.shortcut,
        # Without a shortcut its class has no meaning and need not be one of the study's.
        shortcut_class=params.shortcut_class if params.shortcut else classes[0],
    )  # fmt: skip
    for name in ("films", "lungs", "lesions", *(["markers"] if params.shortcut else [])):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(images.itertuples(), start=1):
        phantom = draw(
            row.label, patient_seed=row.patient_seed, image_seed=row.image_seed, size=params.size,
            conspicuity=params.conspicuity, marker=row.marker,
        )  # fmt: skip
        _write_png(folder / f"films/{row.image_id}.png", phantom.image)
        _write_png(folder / f"lungs/{row.image_id}.png", phantom.lungs.astype(np.uint8) * 255)
        _write_png(folder / f"lesions/{row.image_id}.png", phantom.lesion.astype(np.uint8) * 255)
        if params.shortcut:
            marker = phantom.marker.astype(np.uint8) * 255
            _write_png(folder / f"markers/{row.image_id}.png", marker)
        if report:
            report(number, len(images))
    index = pd.DataFrame(
        {
            "image_id": images["image_id"],
            "file": "films/" + images["image_id"] + ".png",
            "label": images["label"],
            "patient_id": images["patient_id"],
            "lung_mask": "lungs/" + images["image_id"] + ".png",
            "lesion_mask": "lesions/" + images["image_id"] + ".png",
            "marker": images["marker"].astype(int),
        }
    )
    if params.shortcut:
        index["marker_mask"] = "markers/" + images["image_id"] + ".png"
    write_table(folder / "phantoms.csv", index)
    return folder / "phantoms.csv"


def _write_png(path: Path, image: np.ndarray) -> None:
    try:
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    except OSError as error:
        raise ArtefactError(
            f"{path}: could not be written ({error.strerror}). Free some space and run again."
        ) from error
