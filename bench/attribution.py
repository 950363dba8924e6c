"""Nine maps per film (three layers × three methods) against plain `predict`, same films, one run.

Budget: at least 1.0 × the throughput of `predict`. Tracing is excluded from both sides; the best of
three passes counts on both sides.
"""

import time

import numpy as np

from lib import attribution, models
from lib.batches import Films, batches
from lib.params import Runtime

SIZES = {"densenet201": 160, "resnet50v2": 160, "inceptionv3": 203}
BUDGET = 1.0


def best_of(function, times: int = 3) -> float:
    """Shortest duration of a function in seconds, after one call that traces it."""
    function()
    durations = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        durations.append(time.perf_counter() - start)
    return min(durations)


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
        explain = attribution.Explainer(model, models.role_layers(model, name))
        predict = best_of(
            lambda model=model, data=data: model.predict(
                batches(data, batch_size=batch_size), verbose=0
            )
        )
        maps = best_of(
            lambda explain=explain, data=data, ids=ids: explain(data, ids, batch_size=batch_size)
        )
        ratio = predict / maps
        verdict = "met" if ratio >= BUDGET else "NOT met"
        print(
            f"  {name:12s} {count / maps:6.1f} films/s with nine maps, {count / predict:6.1f} "
            f"films/s predict, ratio {ratio:.2f} (budget {BUDGET}: {verdict})",
            flush=True,
        )


if __name__ == "__main__":
    main()
