"""The transfer stage on features computed once, against `fit` through the frozen backbone.

Budget: E epochs at least 0.8·E × faster. Tracing is excluded from both sides. Of the slow side one
epoch is timed and multiplied, because every epoch does the same work.
"""

import keras
import numpy as np

from bench import in_turns, verdict
from lib.data.batches import Films, batches
from lib.models import backbones, training_loop
from lib.study.params import Runtime, Transfer

EPOCHS, BUDGET = 20, 0.8


def main(name: str = "resnet50v2", size: int = 160, count: int = 256) -> None:
    """Print one line."""
    runtime, params = Runtime(), Transfer(epochs=EPOCHS)
    backbones.configure(runtime, seed=0)
    generator = np.random.default_rng(0)
    data = Films(
        generator.integers(0, 256, (count, size, size), np.uint8),
        np.arange(count),
        np.arange(count) % 5,
    )
    model = backbones.build(name, size=size, classes=5)
    backbones.set_trainable(model, from_stage=None)
    schedule = training_loop.Schedule(EPOCHS, params.learning_rate)
    steps = -(-count // params.batch_size)

    def films(epoch: int = 0):
        return batches(data, batch_size=params.batch_size, shuffle_seed=epoch)

    training_loop.compile_model(model, schedule, steps_per_epoch=steps, runtime=runtime)
    extractor = keras.Model(model.input, model.get_layer("average_pool").output)
    features = extractor.predict(films(), verbose=0)
    head = keras.Sequential([keras.Input(features.shape[1:]), keras.layers.Dense(5)])
    training_loop.compile_model(head, schedule, steps_per_epoch=steps, runtime=runtime)
    train = {"x": features, "y": data.labels, "batch_size": params.batch_size, "verbose": 0}
    through, once, on_features = in_turns(
        lambda: model.fit(films(), verbose=0, shuffle=False),
        lambda: extractor.predict(films(), verbose=0),
        lambda: head.fit(**train, epochs=EPOCHS),
    )
    cached = once + on_features
    print(f"transfer: {EPOCHS} epochs on {count} films, {name} at {size} px")
    print(
        f"  features once and the head on them {cached:.1f} s, fit through the frozen backbone "
        f"{EPOCHS * through:.1f} s, {verdict(EPOCHS * through / cached, BUDGET * EPOCHS)}"
    )


if __name__ == "__main__":
    main()
