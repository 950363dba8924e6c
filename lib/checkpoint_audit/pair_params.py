"""What an audit of two checkpoints is told: its parameters, checked before anything is loaded.

``python -m lib.checkpoint_audit.pair_params --before A --after B --data PATH …`` checks them and writes them for the
notebook of the audit.
"""

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from lib.study.artefacts import ArtefactError, write_json
from lib.study.data_params import Positive, Section
from lib.study.load import ParamsError, explain, merge, parse_overrides
from lib.study.methods import GRADIENT_METHODS, METHODS
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
    labels: dict[str, str] = Field(default={})
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
    classes: tuple[str, ...] = ()
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


def main(arguments: list[str] | None = None) -> int:
    """Command line: check, and write the notebook's parameters; print their folder. 0 if well."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.checkpoint_audit.pair_params", description=__doc__
    )
    for option in ("before", "after", "data"):
        parser.add_argument(f"--{option}", default="")
    for option in ("layer", "preprocessing", "classes", "size", "name", "set"):
        parser.add_argument(f"--{option}", default="")
    parser.add_argument("--results", default="results")
    options = parser.parse_args(arguments)
    try:
        missing = [key for key in ("before", "after", "data") if not getattr(options, key)]
        if missing:
            raise ParamsError(
                f"{', '.join(key.upper() for key in missing)} not given. Say: make audit "
                "BEFORE=a.keras AFTER=b.keras DATA=<folder of class folders | manifest.csv>"
            )
        given = {
            "before": str(Path(options.before).expanduser().absolute()),
            "after": str(Path(options.after).expanduser().absolute()),
            "name": options.name or _name(options.before, options.after),
            "data": {"source": str(Path(options.data).expanduser().absolute())},
            "layers": _words(options.layer),
            "classes": _words(options.classes),
            "preprocessing": options.preprocessing,
            **({"size": options.size} if options.size else {}),
        }
        params = validate(merge(given, parse_overrides(options.set)))
        folder = resolve(options.results) / params.study
        file = folder / "parameters.json"
        settings = params.model_dump(mode="json", exclude_unset=True)
        write_json(file, {"settings": settings, "results": str(resolve(options.results))})
        print(folder)
    except (ParamsError, ArtefactError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
