"""Attribution maps per film against plain `predict`, same films, one run.

Budget: nine maps (three layers × three methods) at 1.0 × the throughput of plain `predict`, that is
Keras's method on an array of films, both in batches of Keras's default size. The second line is
`predict` on the batches that the maps are made from too, which spares Keras's own queue: often the
stricter side. The row with `stage4` says what a layer before the final stage costs; the last row is
tf-keras-vis by itself, on the whole model, for three maps of a few films, because it takes some
twenty times as long. Tracing is excluded from all sides; they take turns, and the best of five
passes counts. On a GPU the same command reports the same lines.
"""

import numpy as np
import tensorflow as tf

from bench import in_turns, verdict
from lib.attribution import explainer
from lib.data.batches import Films, batches, pixels
from lib.models import backbones, layers
from lib.study.names import GRADIENT_METHODS
from lib.study.params import Runtime

SIZES = {"densenet201": 160, "resnet50v2": 160, "inceptionv3": 203}
BUDGET = 1.0
STOCK = 16  # films for tf-keras-vis by itself: more need more memory than all other sides together


def stock(model, layer, data, batch_size):
    """Three maps of one layer by tf-keras-vis on the whole model."""
    for films, labels, _ in batches(data, batch_size=batch_size):
        for method in GRADIENT_METHODS:
            explainer.CAMS[method](model)(
                lambda outputs: tf.gather(outputs, labels, axis=1, batch_dims=1),  # noqa: B023
                films,
                penultimate_layer=layer.name,
                **explainer.RAW,
            )


def main(count: int = 256, batch_size: int = 32) -> None:
    """Print five lines per architecture."""
    backbones.configure(Runtime(), seed=0)
    generator = np.random.default_rng(0)
    print(f"attribution: maps against predict, {count} films, batches of {batch_size}")
    for name, size in SIZES.items():
        model = backbones.build(name, size=size, classes=5)
        images = generator.integers(0, 256, (count, size, size), np.uint8)
        data, films = Films(images, np.arange(count), np.arange(count) % 5), pixels(images)
        ids = [str(number) for number in range(count)]
        roles = layers.role_layers(model, name)
        final = {role: layer for role, layer in roles.items() if role != "stage4"}
        nine, twelve = (explainer.Explainer(model, which) for which in (final, roles))
        few = Films(images, np.arange(STOCK), np.arange(STOCK) % 5)
        sides = (
            lambda: model.predict(films, batch_size=batch_size, verbose=0),  # noqa: B023
            lambda: model.predict(batches(data, batch_size=batch_size), verbose=0),  # noqa: B023
            lambda: nine(data, ids, batch_size=batch_size),  # noqa: B023
            lambda: twelve(data, ids, batch_size=batch_size),  # noqa: B023
        )
        predict, *others = in_turns(*sides, times=5)
        (alone,) = in_turns(lambda: stock(model, roles["post_activation"], few, STOCK))  # noqa: B023
        others.append(alone * count / STOCK)
        print(f"  {name}: predict on an array {count / predict:.1f} films/s")
        titles = (
            "predict on batches of the engine", "nine maps", "twelve maps, with stage4",
            "three maps, tf-keras-vis by itself",
        )  # fmt: skip
        for title, spent in zip(titles, others, strict=True):
            ratio = predict / spent
            end = verdict(ratio, BUDGET) if title == "nine maps" else f"ratio {ratio:.2f}"
            print(f"    {title:35s} {count / spent:6.1f} films/s, {end}", flush=True)


if __name__ == "__main__":
    main()
