"""Synthetic frontal chest radiographs with known lungs and lesions.

Every radiograph is drawn from numbers, so a study runs offline and the place of the disease is
known to the pixel. Geometry lives in unit coordinates: x runs from 0 (left edge of the film, the
patient's right) to 1, y from 0 (top) to 1, and the midline is x = 0.5. Tissues are added up as
radiographic density, softened by scatter, and developed to grey values in which bright is dense.
Anatomy depends on the patient and never on the diagnosis; exposure, noise, inspiration and pose
depend on the image; the lesion depends on patient and diagnosis.
"""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd

from lib.data.phantoms.anatomy import normal_chest
from lib.data.phantoms.chest import ANATOMY_RANGES, Chest
from lib.data.phantoms.lesions import LESIONS
from lib.data.phantoms.shapes import Film, bands_along, blur
from lib.study.data_params import PhantomData
from lib.study.names import CLASSES

# Lowest and highest value of each uniformly drawn quantity; lengths are fractions of the film.
IMAGE_RANGES = {
    "shift_x": (-0.06, 0.06),
    "shift_y": (-0.06, 0.06),
    "rotation_degrees": (-6.0, 6.0),
    "magnification": (0.82, 1.12),
    "inspiration": (-0.012, 0.015),
    "exposure": (-0.07, 0.07),
    "latitude": (0.155, 0.215),  # larger is flatter
    "gamma": (0.85, 1.2),
    "scatter": (0.15, 0.40),
    "unsharpness": (0.0010, 0.0026),
    "noise": (0.005, 0.015),
    "haze": (0.04, 0.11),  # uneven overlying soft tissue
    "collimation": (-0.05, 0.03),  # no border when negative
    "lesion_strength": (0.88, 1.12),
    "marker_side": (-1, 1),
    "marker_x": (0.045, 0.08),
    "marker_y": (0.045, 0.08),
}
MARKERS = {  # strokes of the lead letters R and L in a box of unit size
    -1: ((0, 1), (0, 0), (0.45, 0), (0.6, 0.25), (0.45, 0.5), (0, 0.5), (0.25, 0.5), (0.65, 1)),
    1: ((0, 0), (0, 1), (0.6, 1)),
}


@dataclass(frozen=True)
class Phantom:
    """One radiograph; each layer of shape (size, size).

    ``image`` is uint8, bright is dense, the others are bool: ``lungs`` aerated lung not hidden by
    heart or diaphragm, ``marker`` the smallest rectangle around the lead side marker in an upper
    corner; ``lesion`` and ``marker`` are all False where none was drawn.
    """

    image: np.ndarray
    lungs: np.ndarray
    lesion: np.ndarray
    marker: np.ndarray


def random_for(*key):
    """Independent random numbers for each purpose, so that one cannot disturb another."""
    return np.random.default_rng(np.random.SeedSequence(key))


def sample(ranges, random):
    """Draw every quantity of a table of ranges uniformly."""
    return SimpleNamespace(**{name: random.uniform(*limits) for name, limits in ranges.items()})


def pose(view):
    """Matrix (2, 3) that turns, magnifies and shifts the patient on the film."""
    angle = np.deg2rad(view.rotation_degrees)
    turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turn = view.magnification * np.array(turn)
    return np.column_stack([turn, 0.5 + np.array([view.shift_x, view.shift_y]) - turn @ [0.5, 0.5]])


def develop(density, view, random):
    """Turn density into grey values in [0, 1]: film curve, quantum noise, collimation."""
    film = Film(len(density))
    density = blur(density, view.unsharpness * film.size)
    value = 1 / (1 + np.exp((0.50 - view.exposure - density) / view.latitude))
    value = np.clip(value, 0, 1) ** view.gamma
    grain = random.standard_normal(density.shape, np.float32)
    # Fewer quanta reach the detector behind dense tissue and in small pixels.
    grain = (grain + 0.8 * blur(grain, 1.0)) * (0.5 + 0.5 * value) * film.size / 256
    value = value + view.noise * grain
    if view.collimation > 0:
        near, far = view.collimation, 1 - view.collimation
        corners = np.array([(near, near / 2), (far, near / 2), (far, far), (near, far)])
        value = 0.03 + (value - 0.03) * film.fill([corners], softness=0.002)
    return value


def _marker(size, view, scale):
    """Lead letter of the side that the corner belongs to."""
    side = -1 if view.marker_side < 0 else 1
    width, height = 0.045 * scale, 0.06 * scale
    strokes = np.array(MARKERS[side]) * (width, height) + (view.marker_x, view.marker_y)
    if side > 0:
        strokes += (1 - width - 2 * view.marker_x, 0)
    pieces = np.stack([strokes[:-1], strokes[1:]], 1)
    return Film(size).fill(bands_along(pieces, 0.011 * scale), softness=0.0008)


def healthy(body, view, size, *, patient, haze):
    """A healthy chest on its film, softened by scatter.

    Of a body and a view from `ANATOMY_RANGES` and `IMAGE_RANGES`, and two generators: film, chest,
    and density, markings, aerated lung as of `normal_chest`.
    """
    film, chest = Film(size, pose(view)), Chest(body, view.inspiration)
    density, markings, aerated = normal_chest(film, chest, patient)
    density += view.haze * film.texture(haze, 4)
    density += view.scatter * (blur(density, 0.07 * size) - density)
    return film, chest, density, markings, aerated


def draw(
    label: str,
    *,
    patient_seed: int,
    image_seed: int,
    size: int = 256,
    conspicuity: float = 1.0,
    marker: bool = False,
    marker_size: float = 1.0,
) -> Phantom:
    """Draw one synthetic frontal chest radiograph.

    Parameters
    ----------
    label : str
        Diagnosis, one of CLASSES.
    patient_seed : int
        Fixes the anatomy (the same for every label) and, per label, the lesion.
    image_seed : int
        Fixes exposure, noise, inspiration, pose and collimation of this image.
    size : int
        Side in pixels, at least 64; changes the sampling only.
    conspicuity : float
        Factor on the contrast of the lesion, in (0, 2]. Does not change the lesion mask.
    marker : bool
        Whether a lead letter is drawn in an upper corner, outside the lungs.
    marker_size : float
        Factor on the size of the letter, in [1, 4]; 1 is 6 % of the film high.
    """
    view_random = random_for(patient_seed, 1, image_seed)
    view = sample(IMAGE_RANGES, view_random)
    film, chest, density, markings, aerated = healthy(
        sample(ANATOMY_RANGES, random_for(patient_seed, 0)), view, size,
        patient=random_for(patient_seed, 2), haze=view_random,
    )  # fmt: skip
    lungs, lesion = aerated > 0.5, np.zeros((size, size), bool)
    if label != "normal":
        # Added after scatter, so that nothing outside the lungs tells the class.
        random = random_for(patient_seed, 3, CLASSES.index(label))
        opacity, field = LESIONS[label](film, chest, random)
        if label == "bacterial_pneumonia":
            # Fluid-filled alveoli hide the vessels; a faint lesion hides them less.
            opacity = opacity - 0.5 * np.minimum(field, 1) * markings
        density += conspicuity * view.lesion_strength * aerated * opacity
        lesion = lungs & (field > 0.3)
    value = develop(density, view, random_for(patient_seed, 4, image_seed))
    corner = np.zeros((size, size), bool)
    if marker:
        letter = _marker(size, view, marker_size)
        value += letter * (0.98 - value)
        rows, columns = (letter > 0.05).nonzero()
        corner[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = True
    image = np.clip(np.rint(255 * value), 0, 255).astype(np.uint8)
    return Phantom(image, lungs, lesion, corner)


def cohort(params: PhantomData, *, seed: int, classes=CLASSES) -> pd.DataFrame:
    """List the images of a study; each row holds what `draw` needs.

    The seed fixes rows and their order; classes are some of CLASSES. With the probability
    ``shortcut`` the marker of an image is present exactly if its label is ``shortcut_class``;
    otherwise a fair coin decides. At 0 the marker carries no information.

    Returns
    -------
    pandas.DataFrame
        One row an image: image_id, label, patient_id (str), patient_seed, image_seed (int),
        marker (bool).
    """
    (fewest, most), rows = params.images_per_patient, []
    for label in classes:
        for patient in range(params.patients_per_class):
            key = np.random.SeedSequence((seed, CLASSES.index(label), patient))
            patient_seed, *image_seeds = (int(word) for word in key.generate_state(1 + most))
            random = np.random.default_rng(key)
            for image, image_seed in enumerate(image_seeds[: random.integers(fewest, most + 1)]):
                betrays, coin = random.random() < params.shortcut, random.random() < 0.5
                rows.append(
                    {
                        "image_id": f"{label}-{patient:04d}-{image}",
                        "label": label,
                        "patient_id": f"{label}-{patient:04d}",
                        "patient_seed": patient_seed,
                        "image_seed": image_seed,
                        "marker": label == params.shortcut_class if betrays else bool(coin),
                    }
                )
    return pd.DataFrame(rows)
