"""Activations and gradients of many layers by one compiled forward and backward pass."""

from collections.abc import Callable, Sequence
from typing import Literal

import keras
import tensorflow as tf

OWN_PREDICTION = -1  # as the class of a film: whatever the checkpoint predicts


def activations_and_gradients(
    model: keras.Model,
    layers: Sequence[keras.Layer],
    *,
    score: Literal["logit", "probability"] = "logit",
) -> Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor]]]:
    """Compile the shared pass.

    Parameters
    ----------
    model : keras.Model
        Classifier that ends in logits; used in inference mode and not changed.
    layers : sequence of keras.Layer
        Layers of the model with a 4-D output that feeds the logits.
    score : {"logit", "probability"}
        What is differentiated. The gradient of the probability vanishes as it nears 1, and with it
        the map: offered to show that, not to be used.

    Returns
    -------
    callable
        ``(films (n, size, size, 3), classes (n,)) → (logits, [A], [g])`` with float32 A and g of
        shape ``(n, h, w, channels)`` for each layer. A class of `OWN_PREDICTION` stands for the
        class with the highest logit.

    Raises
    ------
    ValueError
        If a layer's output is not 4-D; when the pass is called, if it does not feed the logits.
    """
    for layer in layers:
        if len(layer.output.shape) != 4:
            raise ValueError(
                f"layer {layer.name!r} has an output of shape {layer.output.shape}; attribution "
                "needs a map (films, height, width, channels), e.g. a convolution"
            )
    tapped = keras.Model(model.inputs, [layer.output for layer in layers] + [model.output])

    @tf.function(reduce_retracing=True)
    def run(films, classes):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(films)
            *activations, logits = tapped(films, training=False)
            own = tf.argmax(logits, axis=1, output_type=classes.dtype)
            explained = tf.where(classes == OWN_PREDICTION, own, classes)
            outputs = tf.nn.softmax(logits) if score == "probability" else logits
            value = tf.gather(outputs, explained, axis=1, batch_dims=1)
        gradients = tape.gradient(value, activations)
        for layer, gradient in zip(layers, gradients, strict=True):
            if gradient is None:
                raise ValueError(f"layer {layer.name!r} does not feed the logits")
        as_float = [[tf.cast(x, tf.float32) for x in xs] for xs in (activations, gradients)]
        return tf.cast(logits, tf.float32), *as_float

    return run
