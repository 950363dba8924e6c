"""A phantom cohort as files, so that phantoms and films enter the study through the same door."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from lib.data.phantoms.draw import cohort, draw
from lib.study.artefacts import write_table
from lib.study.data_params import PhantomData
from lib.study.errors import ArtefactError

FOLDERS = {
    "films": ("image", "file"),
    "lungs": ("lungs", "lung_mask"),
    "lesions": ("lesion", "lesion_mask"),
    "markers": ("marker", "marker_mask"),
}
"""Of each folder of a cohort, the layer of a phantom in it and the column of the index."""
INDEX = (
    *("image_id", "file", "label", "patient_id"),
    *("lung_mask", "lesion_mask", "marker", "marker_mask"),
)


def write_cohort(params: PhantomData, folder: Path, *, classes: Sequence[str], seed: int) -> Path:
    """Draw a cohort into PNG files with lung and lesion masks, and index it.

    Parameters
    ----------
    params : PhantomData
    folder : Path
        Receives the `FOLDERS` (``markers`` with a shortcut only) and the index.
    classes : sequence of str
        Some of `lib.study.names.CLASSES`.
    seed : int
        Fixes all images.

    Returns
    -------
    Path
        ``phantoms.csv`` with the columns of `INDEX`, as `lib.data.index.read_index` takes it.
    """
    images = cohort(params, seed=seed, classes=classes)
    shown = [name for name in FOLDERS if params.shortcut or name != "markers"]
    for name in shown:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for row in images.itertuples():
        phantom = draw(
            row.label, patient_seed=row.patient_seed, image_seed=row.image_seed, size=params.size,
            conspicuity=params.conspicuity, marker=row.marker, marker_size=params.marker_size,
        )  # fmt: skip
        for name in shown:
            layer, _ = FOLDERS[name]
            _write_png(folder / name / f"{row.image_id}.png", getattr(phantom, layer))
    files = {FOLDERS[name][1]: f"{name}/" + images["image_id"] + ".png" for name in shown}
    index = images.assign(**files, marker=images["marker"].astype(int))
    write_table(folder / "phantoms.csv", index.filter(INDEX))
    return folder / "phantoms.csv"


def _write_png(path: Path, layer: np.ndarray) -> None:
    image = layer.astype(np.uint8) * 255 if layer.dtype == bool else layer
    try:
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    except OSError as error:
        raise ArtefactError(
            f"{path}: could not be written ({error.strerror}). Free some space and run again."
        ) from error
