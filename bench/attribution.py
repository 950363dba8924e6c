"""Nine maps per film (three layers × three methods) against plain `predict`, same films, one run.

Budget: at least 1.0 × the throughput of `predict`. Tracing is excluded from both sides; they take
turns, and the best of three passes counts.
"""

import numpy as np

from bench import in_turns, verdict
from lib import attribution, layers, models
from lib.batches import Films, batches
from lib.params import Runtime

SIZES = {"densenet201": 160, "resnet50v2": 160, "inceptionv3": 203}
BUDGET = 1.0


def main(count: int = 128, batch_size: int = 32) -> None:
    """Print one line per architecture."""
    models.configure(Runtime(), seed=0)
    generator = np.random.default_rng(0)
    print(f"attribution: nine maps against predict, {count} films, batches of {batch_size}")
    for name, size in SIZES.items():
        model = models.build(name, size=size, classes=5)
        images = generator.integers(0, 256, (count, size, size), np.uint8)
        data = Films(images, np.arange(count), np.arange(count) % 5)
        ids = [str(number) for number in range(count)]
        explain = attribution.Explainer(model, layers.role_layers(model, name))
        predict, maps = in_turns(
            lambda model=model, data=data: model.predict(
                batches(data, batch_size=batch_size), verbose=0
            ),
            lambda explain=explain, data=data, ids=ids: explain(data, ids, batch_size=batch_size),
        )
        print(
            f"  {name:12s} {count / maps:6.1f} films/s with nine maps, {count / predict:6.1f} "
            f"films/s predict, {verdict(predict / maps, BUDGET)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
