"""From a study's name to its validated parameters.

``python -m lib.studies STUDY [--data PATH] [--set "key=value …"] [--write FILE]`` resolves and
checks a study before anything runs; the workflow and the notebooks use the same functions.
"""

import argparse
import difflib
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from lib import weights
from lib.architectures import ARCHITECTURES
from lib.artefacts import ArtefactError, write_text
from lib.params import Params
from lib.paths import ROOT, resolve

STAGES = {
    "pretrain": ("study", "seed", "weights", "runtime"),
    "prepare": ("study", "seed", "classes", "architectures", "input_size", "data"),
    "transfer": ("study", "seed", "classes", "input_size", "weights", "transfer", "runtime"),
    "finetune": (
        *("study", "seed", "classes", "input_size", "transfer", "transfer_seeds", "finetune"),
        *("runtime",),
    ),
    "attribute": (
        *("study", "seed", "classes", "input_size", "data", "transfer", "attribution", "runtime"),
    ),
    "sensitivity": (
        *("study", "seed", "classes", "architectures", "input_size", "data", "transfer_seeds"),
        *("seeds", "attribution", "sensitivity", "runtime"),
    ),
    "drift": (
        *("study", "seed", "classes", "architectures", "input_size", "weights", "data"),
        *("transfer_seeds", "seeds", "attribution"),
    ),
    "remedies": ("study", "seed", "classes", "architectures", "input_size", "data"),
    "hypotheses": ("study", "seed", "architectures", "input_size", "attribution"),
    "report": ("study", "classes", "architectures", "data", "attribution"),
}
"""The parameters that each stage reads: a change of any other one does not rerun it."""

_DERIVED = {
    "base_transfer": {"transfer_seeds"},
    "modes": {"data"},
    "checkpoints": {"transfer_seeds", "seeds", "data"},
    "map_sets": {"transfer_seeds", "seeds", "data"},
    "native_sizes": {"architectures", "input_size", "data"},
    "show_films": {"data"},
    "sizes": {"architectures", "input_size"},
}


class ParamsError(ValueError):
    """A parameter is unknown, impossible or contradicts another; says which and what is allowed."""


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
        if not _DERIVED.get(name, {name}) <= set(STAGES[self._stage]):
            raise AttributeError(
                f"the stage {self._stage!r} does not read {name!r}; it reads "
                f"{', '.join(STAGES[self._stage])} (lib/studies.py, STAGES)"
            )
        return getattr(self._params, name)

    def dump(self) -> dict:
        """The parameters as plain JSON values."""
        return settings(self._params, self._stage)

    def table(self) -> dict[str, Any]:
        """The parameters with dotted keys, for showing."""
        return dict(_flatten(self.dump()))


def settings(params: Params, stage: str) -> dict:
    """The part of `params` that `stage` reads, as plain JSON values."""
    found = params.model_dump(mode="json", include=set(STAGES[stage]))
    if stage == "finetune":  # starts from the first transfer seed; a further one must not rerun it
        found["transfer_seeds"] = found["transfer_seeds"][:1]
    return found


def study_file(study: str) -> Path:
    """YAML file of a named study."""
    return ROOT / f"params/{study}.yml"


def load(study: str, overrides: Mapping[str, Any] | None = None) -> Params:
    """Parameters of `study` with the nested `overrides` merged in.

    Parameters
    ----------
    study : str
        Name of a file in ``params`` without its ending; also names the folder of the results.
    overrides : mapping, optional
        Nested values that replace those of the file.

    Raises
    ------
    ParamsError
        If the file is missing or not YAML, or a key or value is not allowed.
    """
    path = study_file(study)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        studies = {p.stem for p in (ROOT / "params").glob("*.yml")} - {"hypotheses"}
        known = ", ".join(sorted(studies))
        raise ParamsError(f"{path}: no such study; params/ has {known}") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise ParamsError(f"{path}: found {type(values).__name__}, expected `key: value` lines")
    values = merge(values, overrides or {})
    if values.get("study", study) != study:
        raise ParamsError(
            f"{path.name}: study = {values['study']!r}: a study is named by its file; copy "
            f"{path.name} to params/{values['study']}.yml instead"
        )
    return validate(values | {"study": study}, origin=path.name)


def load_stage(study: str, stage: str, overrides: Mapping[str, Any] | None = None) -> StageParams:
    """Parameters of `study` restricted to those that `stage` reads; see `load`."""
    return StageParams(load(study, overrides), stage)


def merge(base: Mapping, extra: Mapping) -> dict:
    """`base` with the values of `extra`, recursively; neither is changed."""
    merged = dict(base)
    for key, value in extra.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def parse_overrides(text: str) -> dict:
    """Nested values from ``key.subkey=value`` words; values are YAML, e.g. ``seeds=[0,1,2]``.

    Raises
    ------
    ParamsError
        If a word has no ``=`` or its value is not YAML.
    """
    overrides: dict = {}
    for word in text.split():
        key, equals, value = word.partition("=")
        try:
            nested: Any = yaml.safe_load(value)
        except yaml.YAMLError:
            equals = ""
        if not equals or not key:
            raise ParamsError(
                f"{word!r}: expected key=value without spaces, e.g. "
                '"seeds=[0,1,2] finetune.epochs=5"'
            )
        for part in reversed(key.split(".")):
            nested = {part: nested}
        overrides = merge(overrides, nested)
    return overrides


def validate(values: Mapping[str, Any], *, origin: str) -> Params:
    """Validated parameters, or one `ParamsError` that lists every fault with its key and value."""
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


def check_data(params: Params) -> None:
    """Read the index of the films, so that a wrong path or a missing class fails at once.

    Raises
    ------
    ParamsError
        As `lib.data.read_index` says.
    """
    from lib.data import DataError, read_index  # here: most stages do not depend on reading films
    from lib.privacy import read_salt
    from lib.remedies import check_masks

    if params.data.source == "DATA":
        raise ParamsError(
            f"{params.study}.yml: data.source is not set, and this study needs films of yours. "
            f"Say where: make reproduce STUDY={params.study} DATA=<folder of class folders | "
            "manifest.csv>"
        )
    if params.data.source != "phantom":
        names = params.data.model_dump(include={"labels", "other_labels"})
        try:
            films = read_index(resolve(params.data.source), classes=params.classes, **names)
            check_masks(films, params.data.remedies)
            read_salt(params.data.salt_file)
        except DataError as error:
            raise ParamsError(str(error)) from None


def check_weights(params: Params) -> None:
    """Fail at the start where the weights that are asked for cannot be had.

    Raises
    ------
    ParamsError
        If ImageNet weights are neither in the Keras cache nor can be downloaded, or shipped ones
        are missing.
    """
    if params.weights.source == "drawn":
        missing = [
            name for name in params.architectures if not weights.shipped_file(name).is_file()
        ]
        if missing:
            raise ParamsError(
                f"weights.source = 'drawn': no file for {', '.join(missing)} in {weights.SHIPPED}. "
                "Get it from the repository (git checkout -- lib/source_weights), make it anew "
                "(make source-weights, hours on a processor), or set weights.source=fractal."
            )
    if params.weights.source != "imagenet":
        return
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    missing = [
        ARCHITECTURES[name].title
        for name in params.architectures
        if not list((home / "models").glob(f"{ARCHITECTURES[name].weights_stem}_*notop*.h5"))
    ]
    if missing and not _online():
        raise ParamsError(
            f"weights.source = 'imagenet': no weights of {', '.join(missing)} in {home / 'models'} "
            "and no network to fetch them. Two ways out: run once with a network (Keras caches "
            "them), or set weights.source=file and weights.files to copies of your own; "
            "weights.source=fractal needs no download."
        )


def _online() -> bool:
    try:
        socket.create_connection(("storage.googleapis.com", 443), timeout=5).close()
    except OSError:
        return False
    return True


def main(arguments: list[str] | None = None) -> int:
    """Command line: resolve, check, and write or print the parameters. 0 if all is well."""
    parser = argparse.ArgumentParser(prog="python -m lib.studies", description=__doc__)
    parser.add_argument("study", help="name of a file in params/")
    parser.add_argument("--data", default="", help="folder of class folders, or manifest.csv")
    parser.add_argument("--set", default="", help='overrides: "seeds=[0,1,2] finetune.epochs=5"')
    parser.add_argument("--write", type=Path, help="write the resolved parameters to this file")
    parser.add_argument("--plan", action="store_true", help="do not check that weights are there")
    options = parser.parse_args(arguments)
    try:
        overrides = parse_overrides(options.set)
        if options.data:
            overrides = merge({"data": {"source": options.data}}, overrides)
        params = load(options.study, overrides)
        check_data(params)
        if not options.plan:
            check_weights(params)
        text = yaml.safe_dump(params.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        if options.write:
            write_text(options.write, text)
        else:
            print(text, end="")
    except (ParamsError, ArtefactError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
