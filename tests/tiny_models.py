"""Small classifiers as strangers build them: nested, flat, with softmax, sigmoid or logits."""

import keras
import numpy as np
from keras import layers

SIDE = 32


def body(x, *, name="", activation="relu"):
    """Two convolutions with batch normalisation, to a quarter of the side."""
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation=activation, name=f"{name}first")(
        x
    )
    x = layers.BatchNormalization(name=f"{name}norm")(x)
    return layers.Conv2D(
        8, 3, strides=2, padding="same", activation=activation, name=f"{name}last"
    )(x)


def classifier(
    *, seed=1, classes=3, channels=3, end="logits", head="pool", inside=True, dropout=0.0,
    nested=False, name="stranger", side=SIDE,
):  # fmt: skip
    """A classifier. `end`: logits, softmax, layer, op, sigmoid; `head`: pool or flatten."""
    keras.utils.set_random_seed(seed)
    films = keras.Input((side, side, channels))
    x = layers.Rescaling(1 / 255, name="unit")(films) if inside else films
    if nested:
        inner = keras.Input((side, side, channels))
        x = keras.Model(inner, body(inner), name="backbone")(x, training=False)
    else:
        x = body(x)
    x = layers.GlobalAveragePooling2D()(x) if head == "pool" else layers.Flatten()(x)
    x = layers.Dropout(dropout)(x) if dropout else x
    of_dense = end if end in ("softmax", "sigmoid", "relu") else None
    x = layers.Dense(classes, activation=of_dense, name="scores")(x)
    if end == "layer":
        x = layers.Softmax()(x)
    elif end == "activation":
        x = layers.Activation("softmax", dtype="float32")(x)
    elif end == "op":
        x = keras.ops.softmax(x)
    model = keras.Model(films, x, name=name)
    shaken(model, seed)
    return model


def sequential(*, seed=1, side=SIDE):
    """A Sequential model with its backbone as one layer, and augmentation."""
    keras.utils.set_random_seed(seed)
    inner = keras.Sequential(
        [keras.Input((side, side, 3)), layers.Conv2D(6, 3, activation="relu", name="scores"),
         layers.MaxPooling2D()], name="backbone",
    )  # fmt: skip
    model = keras.Sequential(
        [keras.Input((side, side, 3)), layers.RandomFlip(), layers.Rescaling(1 / 127.5, offset=-1),
         inner, layers.Conv2D(5, 3, activation="relu"), layers.GlobalAveragePooling2D(),
         layers.Dropout(0.4), layers.Dense(3, activation="softmax", name="scores")],
        name="stack",
    )  # fmt: skip
    shaken(model, seed)
    return model


def shaken(model, seed):
    """Move all weights a little, as training does, so that no bias or scale keeps its default."""
    generator = np.random.default_rng(seed)
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if layer.weights and not hasattr(layer, "layers"):
            layer.set_weights(
                [
                    w + 0.05 * generator.random(w.shape).astype(w.dtype)
                    if w.dtype.kind == "f"
                    else w
                    for w in layer.get_weights()
                ]
            )


def films(count=12, classes=3, side=SIDE, seed=0):
    """Grey films and their classes, as `Films`."""
    from lib.data.batches import Films

    images = np.random.default_rng(seed).integers(0, 256, (count, side, side), np.uint8)
    return Films(images, np.arange(count), np.arange(count) % classes)


def pixels(data, channels=3):
    """Films as the models take them."""
    return np.repeat(data.images[..., None], channels, -1).astype(np.float32)
