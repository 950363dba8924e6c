"""The hypotheses of the study and their decision rules, as ``params/hypotheses.yml`` states them.

The file is committed before the run that it judges. This module says what may stand in it;
`lib.hypotheses.verdicts` applies it.
"""

from datetime import date
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


class Minimum(_Section):
    """What a comparison must have in order to be judged."""

    films: Annotated[int, Field(strict=True, ge=2)]
    patients: Annotated[int, Field(strict=True, ge=2)]
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
    roles, methods, architectures
        The cells: layer roles × methods × architectures.
    looks : dict of int to float
        Planned numbers of seeds, and the error rate that is spent at each. A study with another
        number is not judged. Empty where seeds do not matter.
    level : float in [0.5, 1)
        Of the intervals.
    """

    question: Annotated[str, Field(min_length=10, pattern=r"^[^\n]*\?$")]
    metric: str
    roles: Annotated[tuple[Literal[ROLES], ...], Field(min_length=1)]
    methods: Annotated[tuple[Literal[METHODS], ...], Field(min_length=1)]
    architectures: Annotated[tuple[ArchitectureName, ...], Field(min_length=1)]
    looks: dict[Count, Share] = {}
    level: Annotated[float, Field(strict=True, ge=0.5, lt=1)] = 0.95
    minimum: Minimum

    @model_validator(mode="after")
    def _none_twice(self):
        for key in ("roles", "methods", "architectures"):
            values = getattr(self, key)
            if len(set(values)) < len(values):
                raise ValueError(f"{key} = {list(values)}: none of them twice")
        if sum(self.looks.values()) > 0.05 + 1e-9:
            raise ValueError(
                f"looks: the error rates add to {sum(self.looks.values()):g}; expected 0.05 or less"
            )
        return self

    @property
    def similarity(self) -> bool:
        """Whether the metric is a similarity; otherwise it is a distance."""
        return self.metric in SIMILARITIES

    @property
    def planned(self) -> str:
        """The looks in words, such as "3, 5, 8 or 12"."""
        *most, last = map(str, sorted(self.looks))
        return f"{', '.join(most)} or {last}" if most else last


class Movement(Hypothesis):
    """H1: fine-tuning moves the evidence, and different seeds move it in the same way."""

    metric: Literal[DISTANCES]
    least_way: Share
    least_agreement: Share


class Reversal(Hypothesis):
    """H2: the difference of two architectures changes its sign with the method."""

    metric: Literal[SIMILARITIES + DISTANCES]
    methods: tuple[Literal[METHODS], Literal[METHODS]]
    architectures: Annotated[tuple[ArchitectureName, ...], Field(min_length=2)]
    margin_way: Share


class Identity(Hypothesis):
    """H3: two methods give the same drift, film by film."""

    metric: Literal["soft_iou", "pearson", "centroid_displacement"]
    methods: tuple[Literal[METHODS], Literal[METHODS]]
    tolerance: Positive


class Location(Hypothesis):
    """H4: the centre of the evidence stays nearer than that of unrelated films."""

    metric: Literal[DISTANCES]
    most_way: Share
    prior: Prior


class Gain(Hypothesis):
    """H5 and H6: evidence in the lesion grows, and more than in a control."""

    metric: Literal["lesion_gain"]
    least_gain: Share


class Hypotheses(_Section):
    """All hypotheses of the study, and the day of their statement: they judge later runs."""

    version: Count
    date: date
    H1: Movement
    H2: Reversal
    H3: Identity
    H4: Location
    H5: Gain
    H6: Gain

    @property
    def rules(self) -> dict[str, Hypothesis]:
        """The hypotheses by name."""
        fields = type(self).model_fields
        return {name: getattr(self, name) for name in fields if name not in ("version", "date")}


def load(path: Path = FILE) -> Hypotheses:
    """Read and check the hypotheses of a YAML file.

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
