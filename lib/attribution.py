"""Attribution maps through tf-keras-vis, at the price of one forward and backward pass.

tf-keras-vis runs the whole model once per layer and method. Here one compiled pass per batch gives
the activations A and the gradients g = ∂y/∂A of every layer at once; tf-keras-vis then explains a
surrogate whose inputs are A and g and whose score is Σ g·(A − stop_gradient(A)). Its value is 0 and
its gradient with respect to A is g, so the maps are those of the whole model. A score of 0 also
spares Grad-CAM++ its factor exp(score), which overflows float32 above a logit of 88 and cancels
in any normalised map.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
from tf_keras_vis.layercam import Layercam

from lib.batches import Films, batches
from lib.maps import MapSet

METHODS = {"layercam": Layercam, "gradcam_plus_plus": GradcamPlusPlus, "gradcam": Gradcam}
"""Grad-CAM: Selvaraju 2017, arXiv:1610.02391. Grad-CAM++: Chattopadhyay 2018, arXiv:1710.11063.
LayerCAM: Jiang 2021, doi:10.1109/TIP.2021.3089943."""


def activations_and_gradients(
    model: keras.Model, layers: Sequence[keras.Layer]
) -> Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor]]]:
    """Compile the shared pass.

    Parameters
    ----------
    model : keras.Model
        Classifier with logits ``(n, classes)``; used in inference mode, not changed.
    layers : sequence of keras.Layer
        Layers with a 4-D output that feeds the logits.

    Returns
    -------
    callable
        ``(films (n, size, size, 3), classes (n,)) → (logits, [A], [g])`` with float32 A and g of
        shape ``(n, h, w, channels)`` for each layer.

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
            score = tf.gather(logits, classes, axis=1, batch_dims=1)
        gradients = tape.gradient(score, activations)
        for layer, gradient in zip(layers, gradients, strict=True):
            if gradient is None:
                raise ValueError(f"layer {layer.name!r} does not feed the logits")
        as_float = [[tf.cast(x, tf.float32) for x in xs] for xs in (activations, gradients)]
        return tf.cast(logits, tf.float32), *as_float

    return run


@tf.custom_gradient
def _linear(activations, gradients):
    """Σ g·(A − stop_gradient(A)) for each film, without computing what is known: 0, and g."""

    def backward(upstream):
        return upstream[:, :, None, None] * gradients, None

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


def cam(method: str, explained: keras.Model, activations, gradients) -> np.ndarray:
    """Raw map of one method from activations and gradients, through tf-keras-vis.

    Parameters
    ----------
    method : str
        Key of `METHODS`.
    explained : keras.Model
        The `surrogate` of the layer's shape.
    activations, gradients : tensor of float32, shape (n, h, w, channels)

    Returns
    -------
    ndarray of float32, shape (n, h, w)
        ≥ 0, neither upsampled nor normalised.
    """
    return np.asarray(
        METHODS[method](explained)(
            lambda output: output[:, 0],
            [activations, gradients],
            penultimate_layer="map",
            seek_penultimate_conv_layer=False,
            expand_cam=False,
            normalize_cam=False,
        ),
        dtype=np.float32,
    )


class Explainer:
    """Maps of every role and method for the true class of each film.

    The true class is explained at every checkpoint; each checkpoint's own prediction would mix a
    change of evidence with a change of decision. The graph is traced once: other weights can be
    loaded into the model between calls.

    Parameters
    ----------
    model : keras.Model
        Classifier that returns logits.
    roles : dict of str to keras.Layer
        As `lib.models.role_layers`, or a selection of it.
    methods : sequence of str
        Keys of `METHODS`.

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
        methods: Sequence[str] = tuple(METHODS),
    ) -> None:
        if unknown := [method for method in methods if method not in METHODS]:
            raise ValueError(f"methods {unknown}: expected some of {', '.join(METHODS)}")
        self.model, self.roles, self.methods = model, roles, tuple(methods)
        self._run = activations_and_gradients(model, list(roles.values()))
        self._surrogates = [surrogate(layer.output.shape[1:]) for layer in roles.values()]

    def __call__(
        self,
        data: Films,
        image_ids: Sequence[str],
        *,
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
        batch_size : int
        report : callable, optional
            Receives (films done, films in all) after every batch.

        Raises
        ------
        ValueError
            If ids and films differ in number.
        """
        if len(image_ids) != len(data):
            raise ValueError(f"{len(image_ids)} image ids for {len(data)} films")
        logits = np.empty((len(data), self.model.output_shape[-1]), np.float32)
        maps = {
            (role, method): np.empty((len(data), *layer.output.shape[1:3]), np.float32)
            for role, layer in self.roles.items()
            for method in self.methods
        }
        start = 0
        for films, labels, _ in batches(data, batch_size=batch_size):
            part = slice(start, start + len(labels))
            logits[part], activations, gradients = self._run(films, labels)
            passes = zip(self.roles, self._surrogates, activations, gradients, strict=True)
            for role, explained, a, g in passes:
                for method in self.methods:
                    maps[role, method][part] = cam(method, explained, a, g)
            start = part.stop
            if report:
                report(start, len(data))
        names = {role: layer.name for role, layer in self.roles.items()}
        return MapSet(np.asarray(image_ids, dtype=str), data.labels, logits, maps, names)
