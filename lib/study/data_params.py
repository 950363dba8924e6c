"""What the data of a study can be: the part of its parameters that says where films come from."""

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from lib.study.names import SOURCES

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """Parameters that cannot be changed, misspelt, or given as true or false for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value, info):
        # Python and pydantic count true as 1; `transfer.epochs=true` is a slip, not one epoch.
        number = cls.model_fields[info.field_name].annotation in (int, float)
        values = value if isinstance(value, list | tuple) else [value] if number else []
        if any(isinstance(each, bool) for each in values):
            raise ValueError("expected a number, found true or false")
        return value


def name_text(value):
    """A class that was said as a whole number, as text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Name = Annotated[str, BeforeValidator(name_text)]


class PhantomData(Section):
    """The phantom cohort, see `lib.data.phantoms.draw`."""

    patients_per_class: Positive = 60
    images_per_patient: tuple[Positive, Positive] = (1, 3)
    size: Annotated[int, Field(ge=64, le=1024)] = 256
    conspicuity: Annotated[float, Field(gt=0, le=2)] = 1.5
    shortcut: Annotated[float, Field(ge=0, le=1)] = 0.0
    shortcut_class: str = "covid19"
    marker_size: Annotated[float, Field(ge=1, le=4)] = 1.0

    @field_validator("images_per_patient")
    @classmethod
    def _ascending(cls, value):
        if value[0] > value[1]:
            raise ValueError("the first number is the least, the second the most")
        return value


class Split(Section):
    """Fractions of the patients; ignored where the data bring a split of their own."""

    train: Fraction = 0.6
    validation: Fraction = 0.15
    test: Fraction = 0.25

    @model_validator(mode="after")
    def _sum(self):
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(f"train + validation + test is {total:g}, must be 1")
        return self


class Duplicates(Section):
    """What becomes of films that occur more than once, see `lib.data.audit.duplicates`.

    ``distance`` are the bits of 256 in which the perceptual hashes of near-duplicates may differ:
    at 20 another format, size or exposure is still the same film, and different films are further
    apart. ``near`` "group" keeps near-duplicates in one split, "report" only lists them.
    ``conflicting_labels`` and ``copies`` are about equal bytes, of two classes and of one.
    """

    distance: Annotated[int, Field(ge=0, le=48)] = 20
    near: Literal["group", "report"] = "group"
    conflicting_labels: Literal["error", "drop", "keep"] = "error"
    copies: Literal["keep", "drop"] = "keep"


class Remedies(Section):
    """What is done to every film before it becomes a square, see `films.treat`; none by default.

    ``border_crop`` is the share of the height cut off at the top and at the bottom, and of the
    width at both sides. ``intensity`` "percentile" shows the levels between percentiles 1 and 99,
    "clahe" equalises locally. ``common_resolution`` is the longer side in pixels to which every
    film is brought first: no larger than the smallest film, it leaves none sharper than another.

    ``region`` is no remedy but a control: what can be learnt from "lungs_only", with the
    "lungs_masked_out", or from a frame, "frame_only" (the lungs need masks, the frame does not).
    ``frame_width`` is the width of that frame as a share of each side of the whole film.
    """

    common_resolution: Annotated[int, Field(ge=32, le=4096)] | None = None
    border_crop: Annotated[float, Field(ge=0, le=0.4)] = 0.0
    intensity: Literal["none", "percentile", "clahe"] = "none"
    region: Literal["none", "lungs_only", "lungs_masked_out", "frame_only"] = "none"
    frame_width: Annotated[float, Field(gt=0, lt=0.5)] = 0.15

    @field_validator("common_resolution", mode="before")
    @classmethod
    def _none_in_words(cls, value):
        return None if value == "none" else value

    @model_validator(mode="after")
    def _frame_remains(self):
        if self.region == "frame_only" and self.border_crop >= self.frame_width:
            raise ValueError(
                f"border_crop = {self.border_crop:g} cuts off the frame that region=frame_only "
                f"keeps (frame_width = {self.frame_width:g}); choose one that is narrower"
            )
        return self

    @property
    def active(self) -> bool:
        """Whether any film is changed."""
        return bool(self.border_crop or self.common_resolution) or (
            {self.intensity, self.region} != {"none"}
        )

    def in_words(self) -> str:
        """What differs from the defaults, e.g. "border_crop=0.1"; "none" if nothing does."""
        changed = self.model_dump(exclude_defaults=True)
        return ", ".join(f"{key}={value}" for key, value in changed.items()) or "none"


class Data(Section):
    """Where the films come from and how they become squares.

    ``labels`` gives the class of what the collection calls otherwise; other labels are an "error",
    or their films are listed as rejected ("reject"). ``views`` are the view positions to take, all
    by default. ``leakage`` is what to do about films that a given split has on two sides, see
    `data.splits.assign_splits`. ``source_columns`` may tell where a film is from, for the audit.
    With a ``salt_file`` names and ids leave the study as hashes only, see `lib.data.privacy`.
    ``native_sizes`` keeps the films also at the sides of the ImageNet weights, for the sensitivity
    to the input grid.
    """

    source: str = "phantom"
    aspect: Literal["letterbox", "crop", "squash"] = "letterbox"
    remedies: Remedies = Remedies()
    labels: dict[Name, Name] = {}
    other_labels: Literal["error", "reject"] = "error"
    views: tuple[str, ...] = ()
    duplicates: Duplicates = Duplicates()
    split: Split = Split()
    leakage: Literal["report", "error", "repair", "redraw"] = "report"
    source_columns: tuple[str, ...] = SOURCES
    salt_file: str = ""
    phantom: PhantomData = PhantomData()
    shareable: bool = False
    native_sizes: bool = False
