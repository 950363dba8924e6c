"""Attribution maps of many layers and methods, through tf-keras-vis, at the price of one pass.

tf-keras-vis runs the whole model once per layer and method. Here one compiled pass per batch gives
the activations A and the gradients g = ∂y/∂A of every layer at once (`shared_pass`), and
tf-keras-vis explains a surrogate whose inputs are A and g and whose score is
Σ g·(A − stop_gradient(A)). Its value is 0 and its gradient with respect to A is g, so the maps are
those of the whole model. A score of 0 also spares Grad-CAM++ its factor exp(score), which overflows
float32 above a logit of 88 and cancels in any normalised map.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import keras
import numpy as np
import tensorflow as tf
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
from tf_keras_vis.layercam import Layercam
from tf_keras_vis.scorecam import Scorecam

from lib.attribution.formulas import VARIANTS
from lib.attribution.maps import MapSet
from lib.attribution.shared_pass import OWN_PREDICTION, activations_and_gradients
from lib.data.batches import Films, batches, pixels
from lib.study.names import GRADIENT_METHODS, METHODS

IN_FLIGHT = 2  # batches at once: the small steps of one pass leave processors idle
CAMS = dict(zip(GRADIENT_METHODS, (Layercam, GradcamPlusPlus, Gradcam), strict=True))
"""Grad-CAM: Selvaraju 2017, arXiv:1610.02391. Grad-CAM++: Chattopadhyay 2018, arXiv:1710.11063.
LayerCAM: Jiang 2021, doi:10.1109/TIP.2021.3089943."""
RAW = {"seek_penultimate_conv_layer": False, "expand_cam": False, "normalize_cam": False}
"""Options of tf-keras-vis for maps that are neither enlarged nor normalised."""


@tf.custom_gradient
def _linear(activations, gradients):
    """Σ g·(A − stop_gradient(A)) for each film, without computing what is known: 0, and g."""

    def backward(_):  # tf-keras-vis differentiates this very score, so that what comes is 1
        return gradients, None

    return tf.zeros_like(activations[:, 0, 0, :1]), backward


def surrogate(shape: Sequence[int]) -> keras.Model:
    """Model of inputs A and g, each ``(n, *shape)``, with value 0 and gradient g at layer "map"."""
    activations = keras.Input(shape, dtype="float32")
    gradients = keras.Input(shape, dtype="float32")
    mapped = keras.layers.Identity(name="map", dtype="float32")(activations)
    score = keras.layers.Lambda(lambda pair: _linear(*pair), output_shape=(1,), dtype="float32")(
        [mapped, gradients]
    )
    return keras.Model([activations, gradients], score)


def reader(method: str, shape: Sequence[int]) -> Callable[[tf.Tensor, tf.Tensor], np.ndarray]:
    """How one method makes raw maps from the activations and gradients of a layer.

    Parameters
    ----------
    method : str
        One of `GRADIENT_METHODS`, through tf-keras-vis, or of `VARIANTS`.
    shape : sequence of int
        (h, w, channels) of the layer.

    Returns
    -------
    callable
        ``(A, g)``, float32 tensors of shape ``(n, h, w, channels)``, to maps ``(n, h, w)`` of
        float32, ≥ 0, neither upsampled nor normalised.
    """
    if method in VARIANTS:
        return lambda a, g: VARIANTS[method](np.asarray(a), np.asarray(g)).astype(np.float32)
    explain, formula = CAMS[method](surrogate(shape)), None
    if not isinstance(explain, GradcamPlusPlus):  # a formula with NumPy has no place in a graph
        formula, modifiers = explain._calculate_cam, []

        def inputs_of_formula(gradients, activations, *given):
            modifiers[:] = given
            return gradients, activations

        explain._calculate_cam = inputs_of_formula

    # tf-keras-vis builds a model on each call, in a graph only on the first. It reads the number of
    # films while it is traced, so that a last, smaller batch traces again.
    @tf.function(autograph=False)
    def read(a, g):
        return explain(lambda output: output[:, 0], [a, g], penultimate_layer="map", **RAW)

    def raw_maps(a, g):
        found = read(a, g)
        return np.asarray(formula(*found, *modifiers) if formula else found, dtype=np.float32)

    return raw_maps


def score_cam(
    model: keras.Model, layer: keras.Layer, films, classes, *, channels: int
) -> np.ndarray:
    """Score-CAM, a reference that uses no gradient, through tf-keras-vis.

    Every channel, enlarged, masks the film; its weight is the softmax probability that the model
    gives the class on the masked film (Wang 2020, arXiv:1910.01279). Only the channels that vary
    most over places are used. Each film is explained by itself: in a batch tf-keras-vis would pool
    the channels of all films, and a map would depend on its neighbours.

    Parameters
    ----------
    films : tensor of float32, shape (n, size, size, 3)
    classes : sequence of int, shape (n,)
    channels : int
        How many are used, at most; the cost is one prediction for each.

    Returns
    -------
    ndarray of float32, shape (n, h, w)
        ≥ 0, neither upsampled nor normalised.
    """
    explain, talkative = Scorecam(model), keras.config.is_interactive_logging_enabled()
    most = min(channels, layer.output.shape[-1])
    keras.config.disable_interactive_logging()  # tf-keras-vis predicts with a progress bar
    try:
        maps = [
            explain(
                lambda output, label=int(label): output[:, label], film[None],
                penultimate_layer=layer.name, max_N=most, **RAW,
            )
            for film, label in zip(np.asarray(films), classes, strict=True)
        ]  # fmt: skip
    finally:
        if talkative:
            keras.config.enable_interactive_logging()
    return np.concatenate(maps).astype(np.float32)


class Explainer:
    """Maps of every layer and method, for one class of each film.

    The class is the true one unless another is asked for, at every checkpoint: each checkpoint's
    own prediction would mix a change of evidence with a change of decision. The graph is traced
    once: other weights can be loaded into the model between calls.

    Layers are those of `lib.models.layers.select`, methods those of `lib.study.names.METHODS`; for
    the score see `activations_and_gradients`, for the channels `score_cam`.
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
        self._traced = set()  # numbers of films for which there are graphs

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

    def logits(self, films: np.ndarray) -> np.ndarray:
        """Logits of grey films ``(n, size, size)``, such as films with parts taken away.

        They go through the graph of the maps, in batches that it knows: nothing is traced anew.
        """
        size = max(self._traced, default=len(films))
        found = []
        for start in range(0, len(films), size):
            part = films[start : start + size]
            filled = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
            classes = tf.zeros(size, tf.int64)
            found.append(self._run(tf.constant(pixels(filled)), classes)[0].numpy()[: len(part)])
        return np.concatenate(found)

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
        image_ids : sequence of str
            One per film.
        explained : {"true_class", "prediction"} or int
            The explained class: that of the film, the checkpoint's own prediction, or one class
            for all films by its index.
        report : callable, optional
            Receives (films done, films in all) after every batch.
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
                # A new number of films is traced: by one thread, while no other runs a graph.
                known = len(labels) in self._traced
                while len(waiting) >= (at_once if known else 1):
                    keep(*waiting.popleft())
                part = slice(start, start + len(labels))
                start = part.stop
                waiting.append((part, pool.submit(self._explain, films, wanted[part])))
                if not known:
                    keep(*waiting.popleft())
                    self._traced.add(len(labels))
            while waiting:
                keep(*waiting.popleft())
        if explained == "prediction":
            wanted = logits.argmax(axis=1).astype(wanted.dtype)
        names = {role: layer.name for role, layer in self.roles.items()}
        ids = np.asarray(image_ids, dtype=str)
        return MapSet(ids, data.labels, wanted, logits, maps, names)
