"""What an audit is told, on the command line or in full: checked before anything is loaded."""

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import Field, ValidationError, model_validator

from lib.checkpoint_audit import given
from lib.checkpoint_audit import rule as rules
from lib.checkpoint_audit.networks.files import CheckpointRefused, check
from lib.data.privacy import pseudonyms, read_salt
from lib.study.data_params import Name, Positive, Section
from lib.study.errors import DataError, ParamsError
from lib.study.load import explain, merge, parse_overrides
from lib.study.names import GRADIENT_METHODS, METHODS
from lib.study.params import Runtime, Seed
from lib.study.paths import resolve

_PAIRS = (("before", "after"), ("maps_before", "maps_after"))
WORDS = (
    *("before", "after", "versions", "maps_before", "maps_after", "data", "lesions", "layer"),
    *("preprocessing", "classes", "findings", "size", "name", "rule"),
)
"""What `make audit` may be told, each a text that may be empty."""
_SAY = (
    "Say: make audit BEFORE=a.keras AFTER=b.keras DATA=<folder of class folders | manifest.csv>; "
    'or VERSIONS="v1.keras v2.keras v3.keras", or MAPS_BEFORE=a.npz MAPS_AFTER=b.npz, in the place '
    "of the first two"
)
_HIDDEN = "CXR_AUDIT_HIDDEN"
_ODD = re.compile(r"[^A-Za-z0-9_.-]+")


class AuditedFilms(Section):
    """Which films are explained.

    ``split`` "auto" takes the test films where the collection says which these are, otherwise all;
    ``most`` are drawn at random where there are more. ``aspect`` is "squash" by default, as in
    ``keras.utils.image_dataset_from_directory``. ``uncertain`` says what becomes of a finding that
    a table calls uncertain (-1): its film is left out of the question, or counted as having it or
    not. ``lesions`` are annotations and folders of masks, see `lib.checkpoint_audit.lesions`.
    The rest as in `lib.study.data_params.Data`.
    """

    source: str
    aspect: Literal["letterbox", "crop", "squash"] = "squash"
    labels: dict[Name, Name] = Field(default={})
    other_labels: Literal["error", "reject"] = "error"
    views: tuple[str, ...] = ()
    uncertain: Literal["leave_out", "positive", "negative"] = "leave_out"
    lesions: tuple[str, ...] = ()
    split: Literal["auto", "train", "validation", "test", "all"] = "auto"
    most: Annotated[int, Field(ge=2)] = 1000
    salt_file: str = ""
    shareable: bool = False


class Attribution(Section):
    """How many maps are asked at every version whether they tell what the prediction rests on.

    So called as in the parameters of a study. Of a multi-label model they are of any finding.
    """

    faithfulness_films: Annotated[int, Field(ge=0)] = 12


class AuditParams(Section):
    """All parameters of an audit.

    ``versions`` are the files of the models, the oldest first, or, where ``maps`` is true, two sets
    of maps that were made elsewhere (`lib.checkpoint_audit.given`). ``classes`` are in the order of
    the outputs; without them the sorted names of the collection. ``findings`` are the outputs of a
    multi-label model in their order: each is a question of its own. ``rule`` is asked of the
    finished audit. ``layers`` replace those that are found, ``preprocessing`` is needed where the
    models have none inside, ``size`` where they take films of any size.
    """

    versions: Annotated[tuple[str, ...], Field(min_length=2)]
    maps: bool = False
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    data: AuditedFilms
    classes: tuple[Name, ...] = ()
    findings: tuple[Name, ...] = ()
    size: Annotated[int, Field(ge=16, le=2048)] | None = None
    preprocessing: str = ""
    layers: tuple[str, ...] = ()
    methods: tuple[Literal[METHODS], ...] = GRADIENT_METHODS
    attribution: Attribution = Attribution()
    rule: rules.Rule = rules.Rule()
    batch_size: Positive = 16
    seed: Seed = 20260413
    runtime: Runtime = Runtime()

    @model_validator(mode="after")
    def _distinct(self):
        for key in ("versions", "classes", "findings", "layers", "methods"):
            values = getattr(self, key)
            if key == "versions" and len(values) == 2:
                continue  # a file with itself: what no change looks like
            if len(set(values)) < len(values) or (key == "methods" and not values):
                raise ValueError(f"{key} = {list(values)}: expected values that occur once")
        for key in ("classes", "findings"):
            if len(values := getattr(self, key)) == 1:
                raise ValueError(f"{key} = {list(values)}: expected at least two")
        if self.classes and self.findings:
            raise ValueError("classes and findings: expected one of them; a model has either")
        if self.maps and len(self.versions) > 2:
            raise ValueError("versions: found more than two sets of maps, expected two")
        if self.runtime.precision != "float32" or self.runtime.tf32:
            raise ValueError("runtime: an audit computes in float32 without TensorFloat-32")
        return self

    @property
    def study(self) -> str:
        """Name of the folder of results."""
        return f"audit-{self.name}"

    @property
    def files(self) -> tuple[str, ...]:
        """The versions with as much of their paths as tells them apart."""
        return next(tails(self.versions))

    @property
    def words(self) -> tuple[str, ...]:
        """What the versions are called on the command line."""
        if len(self.versions) > 2:
            return tuple(f"version {number + 1}" for number in range(len(self.versions)))
        return ("MAPS_BEFORE", "MAPS_AFTER") if self.maps else ("BEFORE", "AFTER")


def validate(settings: Mapping[str, Any]) -> AuditParams:
    """Validated parameters; places that were hidden are found where `hide` left them.

    A ParamsError lists every fault with its key and value, or says what is wrong with the first
    file that cannot be audited.
    """
    hidden = json.loads(os.environ.get(_HIDDEN, "{}"))
    try:
        params = AuditParams.model_validate(_replaced(settings, hidden))
    except ValidationError as error:
        raise ParamsError("\n".join(explain(x, AuditParams) for x in error.errors())) from None
    look = given.check if params.maps else check
    for word, file in zip(params.words, params.versions, strict=True):
        try:
            look(resolve(file))
        except CheckpointRefused as error:
            raise ParamsError(f"{word}={error}") from None
    told = [("DATA", params.data.source, "a folder of class folders or a .csv manifest")]
    lesions = "a .csv or .json of lesions, or a folder of masks"
    told += [("LESIONS", file, lesions) for file in params.data.lesions]
    for word, file, expected in told:
        if not resolve(file).exists():
            raise ParamsError(f"{word}={file}: nothing there; expected {expected}")
    return params


def _replaced(value: Any, by: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _replaced(each, by) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(each, by) for each in value]
    return by.get(value, value) if isinstance(value, str) else value


def hide(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that may be written: with a salt, hashes in the place of the places of files.

    The notebook, which has to find these, is told them by its environment alone.
    """
    file = settings["data"].get("salt_file", "")
    if not file:
        return dict(settings)
    data = settings["data"]
    places = [*settings["versions"], data["source"], *data.get("lesions", ()), file]
    hashes = "hidden-" + pseudonyms(pd.Series(places), read_salt(file))
    os.environ[_HIDDEN] = json.dumps(dict(zip(hashes, places, strict=True)))
    return _replaced(settings, dict(zip(places, hashes, strict=True)))


def recorded(params: AuditParams) -> dict[str, Any]:
    """The parameters that are written beside what was made: all but the places of the versions."""
    told = hide(params.model_dump(mode="json"))
    del told["versions"]
    return told


def tails(files: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The ends of paths, from the shortest that differ (one file is its name) to the whole."""
    parts = [Path(path).parts[::-1] for path in files]
    different = len({tuple(part) for part in parts})
    for depth in range(1, max(map(len, parts)) + 1):
        ends = ["/".join(part[:depth][::-1]) for part in parts]
        if len(set(ends)) == different:
            yield tuple(ends)


def from_words(words: Mapping[str, str], *, results: Path, overrides: str = "") -> AuditParams:
    """Checked parameters of an audit, from the words of a command line.

    `words` are those of `WORDS`, relative paths being taken from the working directory; `overrides`
    are further parameters, as `lib.study.load.parse_overrides` reads them. In the folder of
    `results` the audit gets a name that no other audit has there. A ParamsError if what an audit
    cannot do without is missing, or a value is not allowed.
    """

    def place(file: str) -> str:
        return str(Path(file).expanduser().absolute())

    said = {
        "versions": list(map(place, _versions(words))),
        "maps": bool(words["maps_before"]),
        "data": {
            "source": place(words["data"]), "lesions": list(map(place, _words(words["lesions"])))
        },
        "layers": _words(words["layer"]),
        **{key: _words(words[key]) for key in ("classes", "findings")},
        "preprocessing": words["preprocessing"],
        **{key: words[key] for key in ("size", "name") if words[key]},
    }  # fmt: skip
    if words["rule"]:
        said["rule"] = rules.read(Path(words["rule"]).expanduser()).bounds
    told = merge(said, parse_overrides(overrides))
    params = validate({"name": "unnamed"} | told)
    return params.model_copy(update={"name": _name(told, results)})


def _versions(words: Mapping[str, str]) -> list[str]:
    """The files that are compared: two models, two sets of maps, or more versions."""
    ways = [pair for pair in (*_PAIRS, ("versions",)) if any(words[key] for key in pair)]
    if len(ways) > 1:
        found = " and ".join(key.upper() for way in ways for key in way if words[key])
        raise ParamsError(f"{found} given, expected one way to name what is compared. {_SAY}")
    way = ways[0] if ways else _PAIRS[0]
    if missing := [key.upper() for key in (*way, "data") if not words[key]]:
        raise ParamsError(f"{', '.join(missing)} not given. {_SAY}")
    files = shlex.split(words["versions"]) or [words[key] for key in way]
    if len(files) < 2:
        raise ParamsError(f"VERSIONS: found {files[0]!r} alone, expected two or more. {_SAY}")
    return files


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _name(told: Mapping[str, Any], results: Path) -> str:
    """A folder's name from those of the files, longer where it is that of another audit."""
    try:
        whose = _whose(hide(told))
    except DataError as error:  # of the salt
        raise ParamsError(str(error)) from None
    texts = ("-".join(str(Path(file).with_suffix("")) for file in files)
             for files in tails(told["versions"]))  # fmt: skip
    names = (_ODD.sub("_", text).strip("_.-") or "pair" for text in texts)
    for name in [told["name"]] if told.get("name") else names:
        found = _of_folder(results / f"audit-{name}")
        if not found or found[:-1] == whose[:-1]:
            break
    if found and found != whose:
        free = f"{name}-{_ODD.sub('_', Path(told['data']['source']).stem)}"
        raise ParamsError(
            f"{results / f'audit-{name}'} holds another audit, of {' and '.join(found[:-1])} "
            f"on {found[-1]}. Give this one a name: NAME={free}"
        )
    return name


def _whose(told: Mapping[str, Any]) -> list[str]:
    """What makes an audit another one: its files and its films."""
    return [*map(str, told["versions"]), str(told["data"]["source"])]


def _of_folder(folder: Path) -> list[str]:
    """Whose results a folder holds; nothing where it is free."""
    try:
        return _whose(json.loads((folder / "parameters.json").read_text())["settings"])
    except FileNotFoundError:
        return []
    except (KeyError, TypeError, ValueError):
        return ["unknown files", "unknown films"]
