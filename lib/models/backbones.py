"""The three Keras backbones with a linear head, in one flat graph that returns logits."""

import importlib
import zipfile
from math import log2
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from lib.models import eight_bit, settings
from lib.study.architectures import ARCHITECTURES, Architecture
from lib.study.params import Runtime

settings.apply()

HEAD = ("average_pool", "head_dropout", "logits")


def configure(runtime: Runtime, *, seed: int) -> None:
    """Set precision, determinism and the global seed of this process.

    TensorFloat-32 is on by default on recent GPUs and rounds inputs of products to 10 bits, too
    coarse for attribution maps; it is off unless asked for.
    """
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(runtime.precision)
    tf.config.experimental.enable_tensor_float_32_execution(runtime.tf32)
    if runtime.deterministic:
        tf.config.experimental.enable_op_determinism()


def preprocess(architecture: Architecture, pixels):
    """The backbone's own preprocessing as a layer of the graph, on pixels in 0..255.

    Equal to ``preprocess_input`` of the architecture's module in ``keras.applications``.
    """
    scale, offset = architecture.rescale
    return keras.layers.Rescaling(list(scale), offset=list(offset), name="preprocess")(pixels)


def build_backbone(name: str, *, size: int, weights: str | None = None) -> keras.Model:
    """Backbone from ``keras.applications``, without its top, on pixels in 0..255.

    Parameters
    ----------
    name : str
        Key of `lib.study.architectures.ARCHITECTURES`.
    size : int
        Input side in pixels.
    weights : str, optional
        ``"imagenet"``, the path of a weights file (of Keras, or ``.npz`` of `models.eight_bit`), or
        None for random weights.

    Returns
    -------
    keras.Model
        Input ``(n, size, size, 3)`` float32; output ``(n, grid, grid, channels)``.

    Raises
    ------
    ValueError
        If a weights file does not fit.
    """
    architecture = ARCHITECTURES[name]
    module = importlib.import_module(f"keras.applications.{architecture.module}")
    inputs = keras.Input((size, size, 3), name="film")
    build = getattr(module, architecture.title)
    rounded = weights is not None and str(weights).endswith(".npz")
    try:
        backbone = build(
            include_top=False, weights=None if rounded else weights,
            input_tensor=preprocess(architecture, inputs),
        )  # fmt: skip
    except (ValueError, OSError, KeyError) as error:
        if weights in (None, "imagenet"):
            raise
        raise ValueError(
            f"{weights}: does not fit {architecture.title} without top ({error}). Expected weights "
            f"saved from keras.applications.{architecture.title}(include_top=False)."
        ) from error
    if rounded:
        eight_bit.read_into(backbone, Path(weights))
    return backbone


def build(
    name: str, *, size: int, classes: int, dropout: float = 0.0, weights: str | None = None
) -> keras.Model:
    """Classifier: backbone, global average pooling, dropout and a dense layer of logits.

    The head sits on the backbone's output tensor in one flat functional graph; a nested model
    would hide the convolutions from attribution.

    Parameters
    ----------
    name, size, weights
        As in `build_backbone`.
    classes : int
        Number of logits, float32.
    dropout : float
        Rate in [0, 1) on the pooled features.
    """
    backbone = build_backbone(name, size=size, weights=weights)
    pooled = keras.layers.GlobalAveragePooling2D(name=HEAD[0])(backbone.output)
    dropped = keras.layers.Dropout(dropout, name=HEAD[1])(pooled)
    # Logits in float32 whatever the training precision: the loss and the maps start from them.
    logits = keras.layers.Dense(classes, dtype="float32", name=HEAD[2])(dropped)
    return keras.Model(backbone.input, logits, name=name)


def load_weights(model: keras.Model, path: Path) -> None:
    """Read a checkpoint's weights into a model of the same architecture, in its precision."""
    try:
        model.load_weights(path)
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path}: not a checkpoint of {model.name} with {model.output_shape[-1]} classes "
            f"({error}). Delete it and rerun the notebook that wrote it."
        ) from error


def backbone_layers(model: keras.Model) -> list[keras.Layer]:
    """All layers but the head's."""
    return [layer for layer in model.layers if layer.name not in HEAD]


def stage_of(layer: keras.Layer, size: int) -> int:
    """Stage 1..5 of a backbone layer: how often its map has been halved from the input."""
    output = layer.output[0] if isinstance(layer.output, list) else layer.output
    return int(np.clip(round(log2(size / output.shape[1])), 1, 5))


def set_trainable(
    model: keras.Model, *, from_stage: int | None = 1, batch_norm: str = "frozen"
) -> None:
    """Choose what learns; compile the model afterwards.

    Parameters
    ----------
    from_stage : int, optional
        First backbone stage (1..5) that learns; None freezes the whole backbone.
    batch_norm : {"frozen", "trainable"}
        A frozen batch normalisation keeps its scale, offset and statistics and normalises with the
        stored statistics; a trainable one returns to the statistics of each batch.
    """
    size = model.input_shape[1]
    for layer in backbone_layers(model):
        learns = from_stage is not None and stage_of(layer, size) >= from_stage
        if isinstance(layer, keras.layers.BatchNormalization):
            learns = learns and batch_norm == "trainable"
        layer.trainable = learns


def recalibrate_batch_norm(model: keras.Model, batches) -> int:
    """Replace the statistics of every batch normalisation by those of the given films (AdaBN).

    Weights from another domain bring the statistics of that domain; with a frozen backbone they
    would stay wrong for ever. Each layer gets the mean over batches of the batch mean and variance
    while all layers normalise with batch statistics (Li et al. 2016, arXiv:1603.04779).

    Parameters
    ----------
    model : keras.Model
        Changed in place, ``trainable`` flags and momenta restored.
    batches : iterable of float32 tensors, shape (n, size, size, 3)
        Training films.

    Returns
    -------
    int
        Number of batch-normalisation layers.
    """
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    if not norms:
        return 0
    kept = [(norm.trainable, norm.momentum) for norm in norms]
    for norm in norms:
        norm.trainable, norm.momentum = True, 0.0  # momentum 0: statistics of this batch alone
    step = tf.function(lambda films: model(films, training=True), reduce_retracing=True)
    totals, count = None, 0
    try:
        for films in batches:
            step(films)
            now = [[norm.moving_mean.numpy(), norm.moving_variance.numpy()] for norm in norms]
            totals = now if totals is None else [
                [a + b for a, b in zip(old, new, strict=True)]
                for old, new in zip(totals, now, strict=True)
            ]  # fmt: skip
            count += 1
    finally:
        for norm, (trainable, momentum) in zip(norms, kept, strict=True):
            norm.trainable, norm.momentum = trainable, momentum
    if not count:
        raise ValueError("batches: no film to recalibrate batch normalisation with")
    for norm, (mean, variance) in zip(norms, totals, strict=True):
        norm.moving_mean.assign(mean / count)
        norm.moving_variance.assign(variance / count)
    return len(norms)
