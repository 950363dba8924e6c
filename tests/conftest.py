"""Shared fixtures: a backbone is built once per session, because tracing it costs most."""

import os
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

import material
import numpy as np
import pytest

CLASSES = ("normal", "bacterial_pneumonia", "viral_pneumonia", "covid19", "tuberculosis")


def pytest_collection_modifyitems(config, items):
    """Let two workers begin with the longest files, so that neither waits for the other."""
    if hasattr(config, "workerinput"):
        marks = ("study", "backbone")
        items.sort(key=lambda item: [item.get_closest_marker(mark) is None for mark in marks])


@pytest.fixture(scope="session", params=sorted(material.SIZES))
def backbone(request):
    """Name and classifier of each architecture, with random weights spread like trained ones."""
    import keras

    from lib.models import backbones

    keras.utils.set_random_seed(3)
    name = request.param
    model = backbones.build(name, size=material.SIZES[name], classes=len(CLASSES), dropout=0.3)
    return name, model


@pytest.fixture(scope="session")
def film_set():
    """Twelve phantoms of all classes at a given size, as `Films`."""
    from lib.data.batches import Films
    from lib.data.phantoms.draw import draw

    def make(size: int, count: int = 12) -> Films:
        labels = np.arange(count) % len(CLASSES)
        images = [
            draw(CLASSES[label], patient_seed=number, image_seed=number, size=size).image
            for number, label in enumerate(labels)
        ]
        return Films(np.stack(images), np.arange(count), labels)

    return make


@pytest.fixture
def tiny_model():
    """A small classifier with the head of `lib.models.backbones`, fast to trace."""
    import keras

    def make(*, size: int = 32, classes: int = 3, dropout: float = 0.0, seed: int = 1):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((size, size, 3), name="film")
        x = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
        x = keras.layers.Conv2D(8, 3, strides=2, padding="same", name="first")(x)
        x = keras.layers.BatchNormalization(name="norm")(x)
        x = keras.layers.Activation("relu")(x)
        x = keras.layers.Conv2D(8, 3, strides=2, padding="same", name="second")(x)
        x = keras.layers.Activation("relu", name="top")(x)
        x = keras.layers.GlobalAveragePooling2D(name="average_pool")(x)
        x = keras.layers.Dropout(dropout, name="head_dropout")(x)
        outputs = keras.layers.Dense(classes, name="logits")(x)
        return keras.Model(inputs, outputs, name="tiny")

    return make


@pytest.fixture
def collection(tmp_path):
    """Two classes of six films, in folders."""
    root = tmp_path / "films"
    for first, label in zip((0, 10), material.CLASSES, strict=True):
        (root / label).mkdir(parents=True)
        for number in range(6):
            content = material.encoded(material.film(first + number))
            (root / label / f"{label}_{number}.png").write_bytes(content)
    return root


@pytest.fixture
def printed_style():
    """Draw in the study's style, fail on any warning, and leave matplotlib as it was."""
    import matplotlib.pyplot as plt

    from lib.figures import style

    plt.switch_backend("Agg")
    with plt.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("error")
        style.style()
        yield
    assert not plt.get_fignums(), "a figure stayed registered and would be shown twice"
