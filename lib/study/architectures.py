"""Facts about the three backbones that need no TensorFlow: sizes, grids and layer roles.

The layer roles name the places where attribution maps are read. Layers are addressed by
position, never by name, because InceptionV3's layer names carry a process-wide counter
(a second instance in one process has ``conv2d_187`` where the first had ``conv2d_93``);
the channel count is asserted instead.
"""

from dataclasses import dataclass
from math import ceil

ROLES = ("stage4", "auto_conv", "prev_conv", "post_activation")
"""``stage4``: the last map of the next finer resolution, before the final stage, that all of the
evidence passes through. ``auto_conv``: the last ``Conv2D`` of ``model.layers``, which is what
tf-keras-vis picks for ``penultimate_layer=-1``. ``prev_conv``: the ``Conv2D`` listed before it.
``post_activation``: the tensor that global average pooling reads. The grid of ``stage4`` is twice
as fine, 10 × 10 cells in DenseNet201 and ResNet50V2 and 11 × 11 in InceptionV3 where the others
have 5 × 5."""


@dataclass(frozen=True)
class Architecture:
    """Static description of one Keras backbone."""

    name: str
    """Key used in parameters, paths and tables."""
    title: str
    """Name shown in figures; also the class name in ``keras.applications``."""
    module: str
    """Module of ``keras.applications`` that holds the builder and its preprocessing."""
    minimum_size: int
    """Smallest input side that ``keras.applications`` accepts, in pixels."""
    default_size: int
    """Input side that the ImageNet weights were trained at, in pixels."""
    channels: dict[str, int]
    """Channel count that each layer role must have."""
    rescale: tuple[tuple[float, ...], tuple[float, ...]]
    """Per-channel scale and offset that equal ``preprocess_input`` on pixels in 0..255."""

    @property
    def weights_stem(self) -> str:
        """How the names of Keras's cached ImageNet weights begin."""
        return f"{'inception_v3' if self.name == 'inceptionv3' else self.name}_weights"

    def grid(self, size: int) -> int:
        """Side of the last feature map, in cells, for a square input of `size` pixels.

        ResNet50V2 pads before each of its five halvings, which rounds up; DenseNet201 pads the
        first two and pools without padding in the other three, which rounds down. InceptionV3's
        stem and reductions use unpadded convolutions, which cost border cells each time.
        """
        if self.name == "resnet50v2":
            return ceil(size / 32)
        if self.name == "densenet201":
            return ceil(size / 4) // 8
        for shrink in ("stride", "conv", "stride", "conv", "stride", "stride", "stride"):
            size = (size - 3) // 2 + 1 if shrink == "stride" else size - 2
        return size


_TO_UNIT = ((1 / 127.5,) * 3, (-1.0,) * 3)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_IMAGENET_STATISTICS = (
    tuple(1 / (255 * s) for s in _STD),
    tuple(-m / s for m, s in zip(_MEAN, _STD, strict=True)),
)

ARCHITECTURES = {
    architecture.name: architecture
    for architecture in (
        Architecture(
            "densenet201", "DenseNet201", "densenet", 32, 224,
            {"stage4": 896, "auto_conv": 32, "prev_conv": 128, "post_activation": 1920},
            _IMAGENET_STATISTICS,
        ),
        Architecture(
            "resnet50v2", "ResNet50V2", "resnet_v2", 32, 224,
            {"stage4": 1024, "auto_conv": 2048, "prev_conv": 512, "post_activation": 2048},
            _TO_UNIT,
        ),
        Architecture(
            "inceptionv3", "InceptionV3", "inception_v3", 75, 299,
            {"stage4": 768, "auto_conv": 192, "prev_conv": 320, "post_activation": 2048},
            _TO_UNIT,
        ),
    )
}  # fmt: skip
