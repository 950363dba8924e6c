"""Films, indices and phantoms made on the spot, shared by several tests."""

import csv
import io
from functools import cache

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from lib.data.films.decode import decode, read_bytes
from lib.data.films.film import eight_bit
from lib.data.phantoms.draw import draw

SIZES = {"densenet201": 160, "resnet50v2": 160, "inceptionv3": 203}  # one grid, 5×5
CLASSES = ("normal", "covid19")
FRACTIONS = {"train": 0.6, "validation": 0.15, "test": 0.25}


def film(seed=0, height=40, width=48):
    """Smooth grey noise: survives JPEG, never constant."""
    noise = np.random.default_rng(seed).integers(0, 256, (5, 6)).astype(np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(
        buffer, kind, **options
    )
    return buffer.getvalue()


def read_image(path):
    """One film as 8-bit grey."""
    return eight_bit(decode(read_bytes(path)).grey)


def write_csv(path, rows):
    with open(path, "w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows(rows)
    return path


def cohort(patients=200, seed=0, classes=("a", "b", "c")):
    """An index of patients with one to four films each."""
    random, rows = np.random.default_rng(seed), []
    for number in range(patients):
        for view in range(random.integers(1, 5)):
            name = f"{number}_{view}.png"
            rows.append((name, name, classes[number % len(classes)], f"patient{number}", True, ""))
    columns = ["image_id", "file", "label", "patient_id", "patient_known", "split"]
    return pd.DataFrame(rows, columns=columns)


@cache
def drawn(label, patient, image=0, size=128, conspicuity=1.0, marker=False):
    """A phantom, drawn once however many tests look at it."""
    seeds = {"patient_seed": patient, "image_seed": image}
    return draw(label, **seeds, size=size, conspicuity=conspicuity, marker=marker)
