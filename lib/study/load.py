"""From a study's name to its validated parameters, for the workflow and the notebooks alike."""

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from lib.study.errors import ParamsError
from lib.study.params import Params, Runtime, Weights, check
from lib.study.paths import ROOT

STAGES = {
    stage: tuple(names.split())
    for stage, names in {
        "pretrain": "study seed weights runtime",
        "prepare": "study seed classes architectures input_size data",
        "transfer": "study seed classes input_size weights transfer runtime",
        "finetune": "study seed classes input_size transfer finetune runtime",
        "attribute": "study seed classes input_size data transfer attribution runtime",
        "sensitivity": "study seed classes architectures input_size data transfer_seeds seeds "
        "attribution sensitivity runtime",
        "drift": "study seed classes architectures input_size weights data transfer_seeds seeds "
        "follow_epochs controls attribution",
        "remedies": "study seed classes architectures input_size data",
        "hypotheses": "study seed architectures input_size attribution",
        "report": "study classes architectures data attribution",
    }.items()
}
"""The parameters that each stage reads: a change of any other one does not rerun it."""

SHARED = "phantom"
"""The study in whose name source weights are made, whichever asks for them first."""


_QUOTED = r"'[^']*'|\"[^\"]*\""
_WORD = re.compile(
    rf"(?:\[(?:{_QUOTED}|[^\]])*\]|\{{(?:{_QUOTED}|[^}}])*\}}|{_QUOTED}|[^\s])+", re.DOTALL
)


class _Names(yaml.SafeLoader):
    """YAML in which yes, no, on and off are words, as since YAML 1.2."""


_Names.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Names.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


class StageParams:
    """The parameters that one stage reads; any other one raises `AttributeError`.

    A notebook that read a parameter which its rule in the workflow does not declare would not be
    rerun when that parameter changes, so it is refused here.
    """

    def __init__(self, params: Params, stage: str) -> None:
        self._params, self._stage = params, stage

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        derived = getattr(Params, name, None)
        if isinstance(derived, property):
            return derived.fget(self)  # what it reads is looked for here again
        if name not in STAGES[self._stage]:
            raise AttributeError(
                f"the stage {self._stage!r} does not read {name!r}; it reads "
                f"{', '.join(STAGES[self._stage])} (lib/study/load.py, STAGES)"
            )
        return getattr(self._params, name)

    def dump(self) -> dict:
        """The parameters as plain JSON values."""
        return self._params.model_dump(mode="json", include=set(STAGES[self._stage]))

    def table(self) -> dict[str, Any]:
        """The parameters with dotted keys, for showing."""
        return dict(_flatten(self.dump()))


def settings(params: Params, stage: str) -> dict:
    """The part of `params` that `stage` reads, as plain JSON values."""
    found = params.model_dump(mode="json", include=set(STAGES[stage]))
    if stage == "pretrain":  # weights are shared: which study asks first must not make them differ
        own = {"weights": Weights(fractal=params.weights.fractal), "runtime": Runtime()}
        found |= {key: section.model_dump(mode="json") for key, section in own.items()}
        found["study"] = SHARED
    return found


def load(study: str, overrides: Mapping[str, Any] | None = None) -> Params:
    """Parameters of `study` with the nested `overrides` merged in.

    The name is that of a file in ``params`` and of the folder of the results. A file with
    ``like: <study>`` says only what differs from that one.

    Raises
    ------
    ParamsError
        If the file is missing or not YAML, or a key or value is not allowed.
    """
    values = merge(_values(study), overrides or {})
    if values.get("study", study) != study:
        raise ParamsError(
            f"{study}.yml: study = {values['study']!r}: a study is named by its file; copy "
            f"{study}.yml to params/{values['study']}.yml instead"
        )
    return validate(values | {"study": study}, origin=f"{study}.yml")


def _values(study: str, *, asked_by: tuple[str, ...] = ()) -> dict:
    """What the file of a study says, merged over that of the study that it is like."""
    path = ROOT / f"params/{study}.yml"
    known = ", ".join(sorted({p.stem for p in path.parent.glob("*.yml")} - {"hypotheses"}))
    where = f"{asked_by[-1]}.yml: like = {study!r}: " if asked_by else ""
    if study in asked_by:
        raise ParamsError(f"{where}that study is itself like {asked_by[-1]}; name another one")
    values = read_yaml(path, missing=f"{where}no such study; params/ has {known}")
    like = values.pop("like", "")
    return merge(_values(like, asked_by=(*asked_by, study)), values) if like else values


def read_yaml(
    path: Path, *, missing: str, expected: str = "`key: value` lines", name: str = ""
) -> dict:
    """Keys and values of a YAML file, or a ParamsError.

    Parameters
    ----------
    missing, expected : str
        What is said where there is no such file, or it holds something else.
    name : str, optional
        Of the file in a message; its path by default.
    """
    name = name or str(path)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{name}: {missing}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ParamsError(f"{name}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise ParamsError(f"{name}: found {type(values).__name__}, expected {expected}")
    return values


def load_stage(study: str, stage: str, overrides: Mapping[str, Any] | None = None) -> StageParams:
    """Parameters of `study` restricted to those that `stage` reads.

    Parameters
    ----------
    study : str
    stage : str
        Key of `STAGES`.
    overrides : mapping, optional
        As in `load`. Or, with the key ``study``, the whole part of the stage, as `settings` takes
        it from a set that has been resolved and checked: the file is not read again, and no
        contradiction with other parts looked for.

    Raises
    ------
    ParamsError
        As `load` says, or if a part is not whole or that of another study.
    """
    if "study" not in (overrides or {}):
        part = settings(load(study, overrides), stage)
    elif overrides["study"] == study and set(overrides) == set(STAGES[stage]):
        part = dict(overrides)
    else:
        wrong = ", ".join(sorted(set(overrides) ^ set(STAGES[stage]))) or "none"
        raise ParamsError(
            f"settings: study = {overrides['study']!r}: with this key they must be all that the "
            f"stage {stage!r} reads of {study!r} (missing or not read: {wrong}); without it they "
            f"replace single values of params/{study}.yml"
        )
    # No stage may read what its part lacks, so that any sizes will do where it has none.
    return StageParams(_typed({"input_size": {}} | part, origin=f"{stage} of {study}"), stage)


def merge(base: Mapping, extra: Mapping) -> dict:
    """`base` with the values of `extra`, recursively; neither is changed."""
    merged = dict(base)
    for key, value in extra.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def parse_overrides(text: str) -> dict:
    """Nested values from ``key.subkey=value`` words; values are YAML, e.g. ``seeds=[0,1,2]``.

    Blanks within quotes and brackets do not part words, and yes and no are names:
    ``classes=[Viral Pneumonia, no]``. A word that is no such pair is a ParamsError.
    """
    overrides: dict = {}
    for word in _WORD.findall(text):
        key, equals, value = word.partition("=")
        try:
            nested: Any = yaml.load(value, _Names)
        except yaml.YAMLError:
            equals = ""
        if not equals or not key:
            raise ParamsError(
                f"{word!r}: expected key=value, names with blanks in quotes or brackets, e.g. "
                '"seeds=[0,1,2] finetune.epochs=5 classes=[healthy, Viral Pneumonia]"'
            )
        for part in reversed(key.split(".")):
            nested = {part: nested}
        overrides = merge(overrides, nested)
    return overrides


def validate(values: Mapping[str, Any], *, origin: str) -> Params:
    """Validated parameters, or one `ParamsError` that lists every fault with its key and value."""
    params = _typed(values, origin=origin)
    try:
        check(params)
    except ValueError as error:
        raise ParamsError(f"{origin}: {error}") from None
    return params


def _typed(values: Mapping[str, Any], *, origin: str) -> Params:
    """Parameters of which each alone is possible; whether they contradict each other is left."""
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        lines = [explain(fault, Params) for fault in error.errors()]
    raise ParamsError("\n".join(f"{origin}: {line}" for line in lines))


def explain(fault: dict, model: type[BaseModel]) -> str:
    """One fault that pydantic found in values of `model`, as a line with key and value."""
    # pydantic names the members of a union or a mapping's key in the location: not keys of ours.
    location = [str(part) for part in fault["loc"] if part != "[key]"]
    key = ".".join(location)
    if fault["type"] == "extra_forbidden":
        allowed = _allowed_keys(model, location[:-1])
        close = difflib.get_close_matches(location[-1], allowed, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        return f"unknown key {key!r}: {hint}allowed here: {', '.join(allowed)}"
    if fault["type"] == "missing":
        return f"{key} is missing"
    message = fault["msg"].removeprefix("Value error, ")
    found = "" if isinstance(fault["input"], dict | BaseModel) else f" = {fault['input']!r}"
    return f"{key}{found}: {message}" if key else message


def _allowed_keys(model: Any, location: list[str]) -> list[str]:
    for part in location:
        model = model.model_fields[part].annotation
    return list(model.model_fields)


def _flatten(values: Mapping, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, "{}" if value == {} else value
