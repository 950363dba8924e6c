"""Attribution maps of many layers and methods at the price of one forward and backward pass.

tf-keras-vis runs the whole model once per layer and method. Here one compiled pass per batch gives
the activations A and the gradients g = ∂y/∂A of every layer at once; `lib.cams` makes the maps.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from lib.batches import Films, batches
from lib.cams import reader, score_cam
from lib.maps import MapSet
from lib.methods import GRADIENT_METHODS, METHODS

OWN_PREDICTION = -1  # as the class of a film: whatever the checkpoint predicts
IN_FLIGHT = 2  # batches at once: the small steps of one pass leave processors idle


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
        Classifier with logits ``(n, classes)``; used in inference mode, not changed.
    layers : sequence of keras.Layer
        Layers with a 4-D output that feeds the logits.
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
        If a layer's output is not a 4-D map, or does not feed the logits (when called).
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


class Explainer:
    """Maps of every layer and method, for one class of each film.

    The class is the true one unless another is asked for, at every checkpoint: each checkpoint's
    own prediction would mix a change of evidence with a change of decision. The graph is traced
    once: other weights can be loaded into the model between calls.

    Parameters
    ----------
    model : keras.Model
        Classifier that returns logits.
    roles : dict of str to keras.Layer
        As `lib.layers.select`.
    methods : sequence of str
        From `lib.methods.METHODS`.
    score : {"logit", "probability"}
        As `activations_and_gradients`.
    score_cam_channels : int
        As `score_cam`.

    Raises
    ------
    ValueError
        If a method is unknown or a layer cannot be explained.
    """

    def __init__(
        self,
        model: keras.Model,
        roles: dict[str, keras.Layer],
        *,
        methods: Sequence[str] = GRADIENT_METHODS,
        score: Literal["logit", "probability"] = "logit",
        score_cam_channels: int = 10,
    ) -> None:
        if unknown := [method for method in methods if method not in METHODS]:
            raise ValueError(f"methods {unknown}: expected some of {', '.join(METHODS)}")
        self.model, self.roles, self.methods = model, roles, tuple(methods)
        self.channels = score_cam_channels
        self._run = activations_and_gradients(model, list(roles.values()), score=score)
        self._readers = {
            (role, method): reader(method, layer.output.shape[1:])
            for role, layer in roles.items()
            for method in self.methods
            if method != "scorecam"
        }

    def _explain(self, films, classes) -> tuple[np.ndarray, dict[tuple[str, str], np.ndarray]]:
        logits, activations, gradients = self._run(films, tf.constant(classes))
        logits, found = logits.numpy(), {}
        explained = np.where(classes == OWN_PREDICTION, logits.argmax(axis=1), classes)
        for (role, layer), a, g in zip(self.roles.items(), activations, gradients, strict=True):
            for method in self.methods:
                found[role, method] = (
                    score_cam(self.model, layer, films, explained, channels=self.channels)
                    if method == "scorecam"
                    else self._readers[role, method](a, g)
                )
        return logits, found

    def __call__(
        self,
        data: Films,
        image_ids: Sequence[str],
        *,
        explained: Literal["true_class", "prediction"] | int = "true_class",
        batch_size: int = 16,
        report: Callable[[int, int], None] | None = None,
    ) -> MapSet:
        """Explain films.

        Parameters
        ----------
        data : Films
            Films and their true classes.
        image_ids : sequence of str
            One per film.
        explained : {"true_class", "prediction"} or int
            The explained class: that of the film, the checkpoint's own prediction, or one class
            for all films by its index.
        batch_size : int
        report : callable, optional
            Receives (films done, films in all) after every batch.

        Raises
        ------
        ValueError
            If ids and films differ in number, or there is no such class.
        """
        count, classes = len(data), self.model.output_shape[-1]
        if len(image_ids) != count:
            raise ValueError(f"{len(image_ids)} image ids for {count} films")
        choices = {"true_class": data.labels, "prediction": np.full(count, OWN_PREDICTION)}
        if explained not in choices and explained not in range(classes):
            raise ValueError(
                f"explained = {explained!r}: expected 'true_class', 'prediction' or a class index "
                f"below {classes}"
            )
        wanted = np.asarray(choices.get(explained, np.full(count, explained)), data.labels.dtype)
        logits = np.empty((count, classes), np.float32)
        maps = {
            (role, method): np.empty((count, *layer.output.shape[1:3]), np.float32)
            for role, layer in self.roles.items()
            for method in self.methods
        }

        def keep(part, job):
            logits[part], found = job.result()
            for key, values in found.items():
                maps[key][part] = values
            if report:
                report(part.stop, count)

        start, waiting = 0, deque()
        # Score-CAM goes through Keras's `predict`, which is for one thread.
        at_once = 1 if "scorecam" in self.methods else IN_FLIGHT
        with ThreadPoolExecutor(at_once) as pool:
            for films, labels, _ in batches(data, batch_size=batch_size):
                if len(waiting) == at_once:
                    keep(*waiting.popleft())
                part = slice(start, start + len(labels))
                start = part.stop
                waiting.append((part, pool.submit(self._explain, films, wanted[part])))
            while waiting:
                keep(*waiting.popleft())
        if explained == "prediction":
            wanted = logits.argmax(axis=1).astype(wanted.dtype)
        names = {role: layer.name for role, layer in self.roles.items()}
        ids = np.asarray(image_ids, dtype=str)
        return MapSet(ids, data.labels, wanted, logits, maps, names)
