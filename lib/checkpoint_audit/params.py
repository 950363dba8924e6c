"""What an audit of two checkpoints is told: its parameters, checked before anything is loaded."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from lib.study.data_params import Name, Positive, Section
from lib.study.errors import ParamsError
from lib.study.load import explain, merge, parse_overrides
from lib.study.names import GRADIENT_METHODS, METHODS
from lib.study.params import Runtime, Seed
from lib.study.paths import resolve


class AuditedFilms(Section):
    """Which films are explained.

    ``split`` "auto" takes the test films where the collection says which these are, otherwise all;
    ``most`` are drawn at random where there are more. ``aspect`` is "squash" by default, as in
    ``keras.utils.image_dataset_from_directory``. The rest as in `lib.study.data_params.Data`.
    """

    source: str
    aspect: Literal["letterbox", "crop", "squash"] = "squash"
    labels: dict[Name, Name] = Field(default={})
    other_labels: Literal["error", "reject"] = "error"
    views: tuple[str, ...] = ()
    split: Literal["auto", "train", "validation", "test", "all"] = "auto"
    most: Annotated[int, Field(ge=2)] = 1000
    salt_file: str = ""
    shareable: bool = False


class PairParams(Section):
    """All parameters of an audit.

    ``classes`` are in the order of the outputs; without them the sorted names of the collection.
    ``layers`` replace those that are found, ``preprocessing`` is needed where the models have none
    inside, ``size`` where they take films of any size.
    """

    before: str
    after: str
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    data: AuditedFilms
    classes: tuple[Name, ...] = ()
    size: Annotated[int, Field(ge=16, le=2048)] | None = None
    preprocessing: str = ""
    layers: tuple[str, ...] = ()
    methods: tuple[Literal[METHODS], ...] = GRADIENT_METHODS
    batch_size: Positive = 16
    seed: Seed = 20260413
    runtime: Runtime = Runtime()

    @model_validator(mode="after")
    def _distinct(self):
        for key in ("classes", "layers", "methods"):
            values = getattr(self, key)
            if len(set(values)) < len(values) or (key == "methods" and not values):
                raise ValueError(f"{key} = {list(values)}: expected values that occur once")
        if len(self.classes) == 1:
            raise ValueError(f"classes = {list(self.classes)}: expected at least two")
        if self.runtime.precision != "float32" or self.runtime.tf32:
            raise ValueError("runtime: an audit computes in float32 without TensorFloat-32")
        return self

    @property
    def study(self) -> str:
        """Name of the folder of results."""
        return f"audit-{self.name}"


def validate(settings: Mapping[str, Any]) -> PairParams:
    """Validated parameters.

    Raises
    ------
    ParamsError
        Lists every fault with its key and value, and the first missing file.
    """
    try:
        params = PairParams.model_validate(settings)
    except ValidationError as error:
        raise ParamsError("\n".join(explain(x, PairParams) for x in error.errors())) from None
    for key in ("before", "after"):
        if not resolve(getattr(params, key)).exists():
            raise ParamsError(
                f"{key.upper()}={getattr(params, key)}: no such file; expected a .keras checkpoint"
            )
    if not resolve(params.data.source).exists():
        raise ParamsError(
            f"DATA={params.data.source}: nothing there; expected a folder of class folders or a "
            ".csv manifest"
        )
    return params


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _name(before: str, after: str) -> str:
    """A folder's name from those of the files."""
    text = f"{Path(before).stem}-{Path(after).stem}"
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text).lstrip("_.-") or "pair"


WORDS = ("before", "after", "data", "layer", "preprocessing", "classes", "size", "name")
"""What `make audit` may be told, each a text that may be empty."""


def from_words(words: Mapping[str, str], *, overrides: str = "") -> PairParams:
    """Checked parameters of an audit, from the words of a command line.

    Parameters
    ----------
    words : mapping of `WORDS` to str
        Relative paths are taken from the working directory.
    overrides : str
        Further parameters, as `lib.study.load.parse_overrides` reads them.

    Raises
    ------
    ParamsError
        If what an audit cannot do without is missing, or a value is not allowed.
    """
    missing = [key for key in ("before", "after", "data") if not words[key]]
    if missing:
        raise ParamsError(
            f"{', '.join(key.upper() for key in missing)} not given. Say: make audit "
            "BEFORE=a.keras AFTER=b.keras DATA=<folder of class folders | manifest.csv>"
        )
    before, after, data = (
        str(Path(words[key]).expanduser().absolute()) for key in ("before", "after", "data")
    )
    given = {
        "before": before,
        "after": after,
        "name": words["name"] or _name(words["before"], words["after"]),
        "data": {"source": data},
        "layers": _words(words["layer"]),
        "classes": _words(words["classes"]),
        "preprocessing": words["preprocessing"],
        **({"size": words["size"]} if words["size"] else {}),
    }
    return validate(merge(given, parse_overrides(overrides)))
