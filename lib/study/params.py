"""What a study can be: the model of its parameters, with their defaults, ranges and contradictions.

`lib.study.load` reads them from YAML, the command line and notebooks.
"""

from operator import attrgetter
from typing import Annotated, Literal

from pydantic import Field

from lib.study.architectures import ARCHITECTURES, ROLES
from lib.study.data_params import Data, Name, Positive, Section
from lib.study.names import (
    CLASSES,
    CONTROLS,
    GRADIENT_METHODS,
    METHODS,
    MODES,
    TRAINED_CONTROLS,
    TUNED_CONTROLS,
)
from lib.study.paths import resolve

Rate = Annotated[float, Field(gt=0, le=1)]
Nats = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
ArchitectureName = Literal["densenet201", "resnet50v2", "inceptionv3"]


class Fractal(Section):
    """The formula-driven source task, see `lib.models.fractals`."""

    categories: Annotated[int, Field(ge=2, le=1000)] = 40
    images_per_category: Annotated[int, Field(ge=2)] = 24
    size: Annotated[int, Field(ge=75, le=512)] = 80
    epochs: Positive = 4
    batch_size: Positive = 16
    learning_rate: Rate = 1e-3


class Weights(Section):
    """What the backbone knows before transfer; "drawn" is shipped, see `lib.models.source_task`."""

    source: Literal["imagenet", "fractal", "drawn", "file", "none"] = "drawn"
    files: dict[ArchitectureName, str] = Field(default={})
    recalibrate_batch_norm: bool = True
    fractal: Fractal = Fractal()


class Augmentation(Section):
    """Ranges of random distortions; 0 switches one off.

    Left and right carry meaning in a chest film (heart, stomach), so the mirror image is off
    unless asked for.
    """

    rotation_degrees: Annotated[float, Field(ge=0, le=45)] = 0.0
    translation: Annotated[float, Field(ge=0, le=0.3)] = 0.0
    zoom: Annotated[float, Field(ge=0, le=0.3)] = 0.0
    brightness: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    contrast: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    flip_left_right: bool = False

    @property
    def active(self) -> bool:
        """Whether any distortion is on."""
        return any(self.model_dump().values())


class Transfer(Section):
    """Stage one: the head alone, on a frozen backbone.

    It has converged, and stops, when the validation loss has not fallen by more than ``tolerance``
    (nats) for ``patience`` epochs; ``epochs`` is the upper bound.
    """

    epochs: Positive = 30
    batch_size: Positive = 32
    learning_rate: Rate = 1e-3
    patience: Positive = 8
    tolerance: Nats = 0.001
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    class_weights: bool = True
    augmentation: Augmentation = Augmentation()


class Finetune(Section):
    """Stage two: the backbone too. The placebo repeats it with the backbone frozen.

    ``patience`` and ``tolerance`` are the rule of convergence, as in stage one.
    """

    epochs: Positive = 4
    batch_size: Positive = 16
    learning_rate: Rate = 1e-4
    warmup_epochs: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    patience: Positive = 3
    tolerance: Nats = 0.01
    from_stage: Annotated[int, Field(ge=1, le=5)] = 1
    batch_norm: Literal["frozen", "trainable"] = "frozen"
    class_weights: bool = True
    augmentation: Augmentation = Augmentation()


class Attribution(Section):
    """Which maps are computed, and for which class.

    ``roles`` are layers by role, ``layers`` further ones by name, for each architecture.
    ``explained`` is "true_class", "prediction" (each checkpoint's own, for comparison only) or a
    class. ``faithfulness_films`` is how many test films are asked whether the maps tell what the
    prediction rests on; 0 asks none.
    """

    roles: tuple[Literal[ROLES], ...] = ROLES
    layers: dict[ArchitectureName, tuple[str, ...]] = Field(default={})
    methods: tuple[Literal[METHODS], ...] = GRADIENT_METHODS
    explained: str = "true_class"
    score: Literal["logit", "probability"] = "logit"
    score_cam_channels: Positive = 10
    batch_size: Positive = 64
    faithfulness_films: Annotated[int, Field(ge=0)] = 24
    require_equal_grid: bool = True


class Sensitivity(Section):
    """What the appendices look at: at most so many test films at every step of randomisation."""

    randomised_films: Positive = 240


class Runtime(Section):
    """How it is computed."""

    deterministic: bool = True
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    jit_compile: bool = False
    tf32: bool = False


class Params(Section):
    """All parameters of one study.

    With ``follow_epochs`` the first seed's fine-tuning is also explained after every epoch; its
    weights of every epoch stay on disk. ``controls`` are comparisons beside every fine-tuning:
    those of `lib.study.names.TUNED_CONTROLS` need no training, ``TRAINED_CONTROLS`` one each.
    """

    study: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    seed: Seed = 20260413
    classes: tuple[Name, ...] = CLASSES
    architectures: tuple[ArchitectureName, ...] = tuple(ARCHITECTURES)
    input_size: dict[ArchitectureName, int]
    data: Data = Data()
    weights: Weights = Weights()
    transfer: Transfer = Transfer()
    transfer_seeds: tuple[Seed, ...] = (0,)
    finetune: Finetune = Finetune()
    seeds: tuple[Seed, ...] = (0, 1)
    follow_epochs: bool = True
    controls: tuple[Literal[(*TUNED_CONTROLS, *TRAINED_CONTROLS)], ...] = tuple(TUNED_CONTROLS)
    attribution: Attribution = Attribution()
    sensitivity: Sensitivity = Sensitivity()
    runtime: Runtime = Runtime()

    @property
    def base_transfer(self) -> str:
        """The transfer checkpoint from which every fine-tuning starts but the restarted ones."""
        return f"transfer-s{self.transfer_seeds[0]}"

    def start_of(self, mode: str) -> str:
        """The transfer checkpoint from which stage two starts."""
        return f"transfer-s{self.transfer_seeds[mode == 'restarted']}"

    @property
    def followed(self) -> str:
        """The checkpoint whose training is followed epoch by epoch; empty if none is."""
        return f"finetune-s{self.seeds[0]}" if self.follow_epochs else ""

    @property
    def planted(self) -> bool:
        """Whether a shortcut was planted, so that there is something to take away."""
        return self.data.source == "phantom" and self.data.phantom.shortcut > 0

    @property
    def modes(self) -> tuple[str, ...]:
        """What stage two does; with a planted shortcut it is also taken away ("corrected")."""
        further = {"corrected"} if self.planted else set()
        further |= {*TRAINED_CONTROLS} & {*self.controls}
        return tuple(mode for mode in MODES if mode in {*MODES[:2]} | further)

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """Names of all checkpoints of one architecture."""
        return (
            *(f"transfer-s{seed}" for seed in self.transfer_seeds),
            *(f"{mode}-s{seed}" for mode in self.modes for seed in self.seeds),
        )

    @property
    def map_sets(self) -> tuple[str, ...]:
        """Names of all sets of maps of one architecture: its checkpoints, and controls."""
        kinds = [kind for control in self.controls for kind in TUNED_CONTROLS.get(control, ())]
        return (
            *self.checkpoints,
            *(f"{control}-s{self.transfer_seeds[0]}" for control in CONTROLS),
            *(f"{kind}-s{seed}" for kind in kinds for seed in self.seeds),
        )

    @property
    def show_films(self) -> bool:
        """Whether figures may show films: phantoms always, other data only if marked shareable."""
        return self.data.source == "phantom" or self.data.shareable

    @property
    def sizes(self) -> tuple[int, ...]:
        """Distinct input sides of the architectures, in pixels, ascending."""
        return tuple(sorted({self.input_size[name] for name in self.architectures}))

    @property
    def native_sizes(self) -> tuple[int, ...]:
        """Further sides at which films are kept: those of the ImageNet weights, if asked for."""
        native = {ARCHITECTURES[name].default_size for name in self.architectures}
        return tuple(sorted(native - set(self.sizes))) if self.data.native_sizes else ()


def check(params: Params) -> None:
    """Raise ValueError at the first contradiction; says key, value and what is allowed."""
    # Not part of the model, so that a part of the parameters can be one.
    for look in (_check_lists, _check_names, _check_sizes, _check_phantoms, _check_weights):
        look(params)


def _check_lists(params: Params) -> None:
    single = ("classes", "architectures", "transfer_seeds", "seeds", "controls")
    for key in (*single, "attribution.roles", "attribution.methods"):
        values = attrgetter(key)(params)
        least = {"classes": 2, "controls": 0}.get(key, 1)
        if len(values) < least or len(set(values)) < len(values):
            raise ValueError(
                f"{key} = {list(values)}: at least {least} value(s), none of them twice"
            )
    if "restarted" in params.controls and len(params.transfer_seeds) < 2:
        raise ValueError(
            f"controls: 'restarted' fine-tunes from a second transfer checkpoint, but "
            f"transfer_seeds = {list(params.transfer_seeds)} is one; write two, such as [0, 1]"
        )


def _check_names(params: Params) -> None:
    allowed = ("true_class", "prediction", *params.classes)
    if params.attribution.explained not in allowed:
        raise ValueError(
            f"attribution.explained = {params.attribution.explained!r}: expected one of "
            f"{', '.join(allowed)}"
        )
    for name, label in params.data.labels.items():
        if label not in params.classes:
            raise ValueError(
                f"data.labels: {name!r} is {label!r}, which is none of the classes; allowed: "
                f"{', '.join(params.classes)}"
            )


def _check_sizes(params: Params) -> None:
    grids = {}
    for name in params.architectures:
        if name not in params.input_size:
            raise ValueError(f"input_size.{name} is missing; every architecture needs one, in px")
        size, known = params.input_size[name], ARCHITECTURES[name]
        if not known.minimum_size <= size <= 2048:
            raise ValueError(
                f"input_size.{name} = {size}: {name} takes {known.minimum_size} to 2048 px"
            )
        grids[name] = grid = known.grid(size)
        if grid < 2:
            raise ValueError(
                f"input_size.{name} = {size}: {name} makes a map of {grid}×{grid} cells of it, in "
                "which nothing can move; choose a larger size, such as the 160 px (inceptionv3: "
                "203 px) that give 5×5"
            )
    if params.attribution.require_equal_grid and len(set(grids.values())) > 1:
        found = ", ".join(f"{n} {params.input_size[n]} px → {g}×{g}" for n, g in grids.items())
        raise ValueError(
            f"input_size gives unequal grids ({found}), which makes drift incomparable between "
            "architectures; choose sizes with one grid (160/160/203 px → 5×5, 224/224/267 px → "
            "7×7) or set attribution.require_equal_grid=false"
        )


def _check_phantoms(params: Params) -> None:
    if params.data.source != "phantom":
        return
    if unknown := [name for name in params.classes if name not in CLASSES]:
        raise ValueError(
            f"classes: no phantom exists for {', '.join(unknown)}; allowed: {', '.join(CLASSES)}"
        )
    phantom = params.data.phantom
    if phantom.shortcut > 0 and phantom.shortcut_class not in params.classes:
        raise ValueError(
            f"data.phantom.shortcut_class = {phantom.shortcut_class!r}: must be one of the classes"
        )


def _check_weights(params: Params) -> None:
    source, files = params.weights.source, params.weights.files
    if files and source != "file":
        raise ValueError(
            f"weights.files is set but weights.source is {source!r}; set weights.source=file or "
            "remove weights.files"
        )
    for name in params.architectures if source == "file" else ():
        path = files.get(name)
        if path is None:
            raise ValueError(f"weights.files.{name} is missing; weights.source=file needs one each")
        if not resolve(path).is_file():
            raise ValueError(
                f"weights.files.{name} = {path}: no such file; a weights file (.weights.h5, or "
                "the .h5 of a keras.applications model without top) is expected"
            )
