"""What an audit of two checkpoints is told: its parameters, checked before anything is loaded."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from lib.checkpoint_audit import rule as rules
from lib.checkpoint_audit.files import CheckpointRefused, check
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
    ``rule`` is asked of the finished audit. ``layers`` replace those that are found,
    ``preprocessing`` is needed where the models have none inside, ``size`` where they take films of
    any size.
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
    rule: rules.Rule = rules.Rule()
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

    @property
    def files(self) -> tuple[str, str]:
        """BEFORE and AFTER with as much of their paths as tells them apart."""
        return next(_tails(self.before, self.after))


def validate(settings: Mapping[str, Any]) -> PairParams:
    """Validated parameters.

    Raises
    ------
    ParamsError
        Lists every fault with its key and value, or says what is wrong with the first file that
        cannot be audited.
    """
    try:
        params = PairParams.model_validate(settings)
    except ValidationError as error:
        raise ParamsError("\n".join(explain(x, PairParams) for x in error.errors())) from None
    for key in ("before", "after"):
        try:
            check(resolve(getattr(params, key)))
        except CheckpointRefused as error:
            raise ParamsError(f"{key.upper()}={error}") from None
    if not resolve(params.data.source).exists():
        raise ParamsError(
            f"DATA={params.data.source}: nothing there; expected a folder of class folders or a "
            ".csv manifest"
        )
    return params


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _tails(before: str, after: str) -> Iterator[tuple[str, str]]:
    """The ends of two paths, from the shortest that differ (one file is its name) to the whole."""
    parts = [Path(path).parts[::-1] for path in (before, after)]
    longest = max(map(len, parts))
    same = 0
    while parts[0] != parts[1] and parts[0][: same + 1] == parts[1][: same + 1]:
        same += 1
    for depth in range(same + 1, longest + 1):
        yield tuple("/".join(part[:depth][::-1]) for part in parts)


def _name(told: Mapping[str, Any], results: Path) -> str:
    """A folder's name from those of the files, longer where it is that of another audit."""
    whose = _whose(told)
    name = told.get("name", "")
    for files in _tails(told["before"], told["after"]) if not name else ():
        text = "-".join(str(Path(file).with_suffix("")) for file in files)
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("_.-") or "pair"
        found = _of_folder(results / f"audit-{name}")
        if not found or found[:2] == whose[:2]:
            break
    found = _of_folder(results / f"audit-{name}")
    if found and found != whose:
        free = f"{name}-{re.sub(r'[^A-Za-z0-9_.-]+', '_', Path(whose[2]).stem)}"
        raise ParamsError(
            f"{results / f'audit-{name}'} holds another audit, of {' and '.join(found[:2])} on "
            f"{found[2]}. Give this one a name: NAME={free}"
        )
    return name


def _whose(told: Mapping[str, Any]) -> list[str]:
    """What makes an audit another one: its two files and its films."""
    return [str(told["before"]), str(told["after"]), str(told["data"]["source"])]


def _of_folder(folder: Path) -> list[str]:
    """Whose results a folder holds; nothing where it is free."""
    try:
        return _whose(json.loads((folder / "parameters.json").read_text())["settings"])
    except FileNotFoundError:
        return []
    except (KeyError, TypeError, ValueError):
        return ["unknown files", "unknown films", str(folder)]


WORDS = ("before", "after", "data", "layer", "preprocessing", "classes", "size", "name", "rule")
"""What `make audit` may be told, each a text that may be empty."""


def from_words(words: Mapping[str, str], *, results: Path, overrides: str = "") -> PairParams:
    """Checked parameters of an audit, from the words of a command line.

    Parameters
    ----------
    words : mapping of `WORDS` to str
        Relative paths are taken from the working directory.
    results : Path
        Where the folder of the audit will be; it gets a name that no other audit has there.
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
        "data": {"source": data},
        "layers": _words(words["layer"]),
        "classes": _words(words["classes"]),
        "preprocessing": words["preprocessing"],
        **{key: words[key] for key in ("size", "name") if words[key]},
    }
    if words["rule"]:
        given["rule"] = rules.read(Path(words["rule"]).expanduser()).bounds
    told = merge(given, parse_overrides(overrides))
    params = validate({"name": "unnamed"} | told)
    return params.model_copy(update={"name": _name(told, results)})
