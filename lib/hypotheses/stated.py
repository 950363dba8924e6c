"""The hypotheses of the study and their decision rules, as ``params/hypotheses.yml`` states them.

The file is committed before the run that it judges. This module says what may stand in it;
`lib.hypotheses.verdicts` applies it.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lib.drift.metrics import DISTANCES, SIMILARITIES
from lib.study.architectures import ROLES
from lib.study.errors import ParamsError
from lib.study.load import explain, read_yaml
from lib.study.names import METHODS
from lib.study.params import ArchitectureName
from lib.study.paths import ROOT

FILE = ROOT / "params/hypotheses.yml"
Count = Annotated[int, Field(strict=True, ge=1)]
Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, gt=0, lt=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Margin(_Section):
    """The largest effect that counts as none, in units of the metric.

    Either `fixed`, or `seed_floor_fraction` of the mean drift between two fine-tunings that differ
    only in their seed, with a `fallback` where that cannot be estimated.
    """

    fixed: Positive | None = None
    seed_floor_fraction: Share | None = None
    fallback: Positive | None = None

    @model_validator(mode="after")
    def _one_rule(self):
        given = (self.fixed, self.seed_floor_fraction, self.fallback)
        if [value is not None for value in given] not in (
            [True, False, False],
            [False, True, True],
        ):
            raise ValueError("expected either fixed, or seed_floor_fraction with a fallback")
        return self


class Minimum(_Section):
    """What a comparison must have in order to be judged."""

    films: Annotated[int, Field(strict=True, ge=2)]
    patients: Annotated[int, Field(strict=True, ge=2)]
    seeds: Count
    blank_share: Annotated[float, Field(strict=True, ge=0, lt=1)]

    @model_validator(mode="after")
    def _fits(self):
        if self.patients > self.films:
            raise ValueError(
                f"patients = {self.patients}: more than films = {self.films}, though every patient "
                "has a film"
            )
        return self


class Prior(_Section):
    """Independent maps with a common centre bias, see `lib.drift.priors`."""

    width: Positive
    shape: Positive
    pairs: Annotated[int, Field(strict=True, ge=1000, le=1_000_000)]


class Hypothesis(_Section):
    """What all hypotheses state: the question, the primary cells, and how sure one must be.

    Attributes
    ----------
    question : str
        One sentence.
    role, methods, architectures
        The cells: one layer role, methods and architectures.
    alpha : float in (0, 0.5)
        Error rate of the family, after Holm's correction.
    level : float in [0.5, 1)
        Level of the intervals.
    """

    question: Annotated[str, Field(min_length=10, pattern=r"^[^\n]*\?$")]
    metric: str
    role: Literal[ROLES]
    methods: Annotated[tuple[Literal[METHODS], ...], Field(min_length=1)]
    architectures: Annotated[tuple[ArchitectureName, ...], Field(min_length=1)]
    alpha: Annotated[float, Field(strict=True, gt=0, lt=0.5)]
    level: Annotated[float, Field(strict=True, ge=0.5, lt=1)]
    margin: Margin
    minimum: Minimum

    @model_validator(mode="after")
    def _none_twice(self):
        for key in ("methods", "architectures"):
            values = getattr(self, key)
            if len(set(values)) < len(values):
                raise ValueError(f"{key} = {list(values)}: none of them twice")
        return self

    @property
    def similarity(self) -> bool:
        """Whether the metric is a similarity; otherwise it is a distance."""
        return self.metric in SIMILARITIES


class Excess(Hypothesis):
    """H1: the drift of fine-tuning exceeds that of every control."""

    metric: Literal[SIMILARITIES + DISTANCES]
    controls: Annotated[tuple[Literal["placebo", "finetune_seeds"], ...], Field(min_length=1)]


class Reversal(Hypothesis):
    """H2: the difference of two architectures changes its sign with the method."""

    metric: Literal[SIMILARITIES + DISTANCES]
    methods: tuple[Literal[METHODS], Literal[METHODS]]
    architectures: Annotated[tuple[ArchitectureName, ...], Field(min_length=2)]


class Identity(Reversal):
    """H3: two methods give the same drift, film by film."""

    exact_metric: Literal["soft_iou", "pearson", "centroid_displacement"]
    tolerance: Positive


class Blindness(Hypothesis):
    """H4: a distance does not tell the film's own maps from unrelated ones."""

    metric: Literal[DISTANCES]
    prior: Prior


class Gain(Hypothesis):
    """H5: evidence in the lesion grows where the shortcut is taken away."""

    metric: Literal["lesion_gain"]


class Hypotheses(_Section):
    """All hypotheses of the study."""

    H1: Excess
    H2: Reversal
    H3: Identity
    H4: Blindness
    H5: Gain


def load(path: Path = FILE) -> Hypotheses:
    """Read and check the hypotheses.

    Parameters
    ----------
    path : Path
        YAML file.

    Raises
    ------
    ParamsError
        If the file is missing or not YAML, a key is unknown or missing or a value is impossible;
        lists every fault with file and key.
    """
    lost = "missing; restore it from the repository: rules have to be stated beforehand"
    values = read_yaml(path, missing=lost)
    try:
        return Hypotheses.model_validate(values)
    except ValidationError as error:
        lines = [f"{path.name}: {explain(fault, Hypotheses)}" for fault in error.errors()]
    raise ParamsError("\n".join(lines))
