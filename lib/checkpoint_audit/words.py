"""What an audit is told on the command line, brought to parameters and a folder of its own."""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib.checkpoint_audit import rule as rules
from lib.checkpoint_audit.params import AuditParams, hide, tails, validate
from lib.study.errors import DataError, ParamsError
from lib.study.load import merge, parse_overrides


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _name(told: Mapping[str, Any], results: Path) -> str:
    """A folder's name from those of the files, longer where it is that of another audit."""
    try:
        whose = _whose(hide(told))
    except DataError as error:  # of the salt
        raise ParamsError(str(error)) from None
    name = told.get("name", "")
    for files in tails(told["versions"]) if not name else ():
        text = "-".join(str(Path(file).with_suffix("")) for file in files)
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("_.-") or "pair"
        found = _of_folder(results / f"audit-{name}")
        if not found or found[:-1] == whose[:-1]:
            break
    found = _of_folder(results / f"audit-{name}")
    if found and found != whose:
        free = f"{name}-{re.sub(r'[^A-Za-z0-9_.-]+', '_', Path(told['data']['source']).stem)}"
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


_PAIRS = (("before", "after"), ("maps_before", "maps_after"))
WORDS = (
    *("before", "after", "versions", "maps_before", "maps_after", "data", "lesions", "layer"),
    *("preprocessing", "classes", "findings", "size", "name", "rule"),
)
"""What `make audit` may be told, each a text that may be empty."""


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


_SAY = (
    "Say: make audit BEFORE=a.keras AFTER=b.keras DATA=<folder of class folders | manifest.csv>; "
    'or VERSIONS="v1.keras v2.keras v3.keras", or MAPS_BEFORE=a.npz MAPS_AFTER=b.npz, in the place '
    "of the first two"
)


def from_words(words: Mapping[str, str], *, results: Path, overrides: str = "") -> AuditParams:
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

    def place(file: str) -> str:
        return str(Path(file).expanduser().absolute())

    said = {
        "versions": list(map(place, _versions(words))),
        "maps": bool(words["maps_before"]),
        "data": {
            "source": place(words["data"]),
            "lesions": [place(file) for file in _words(words["lesions"])],
        },
        "layers": _words(words["layer"]),
        "classes": _words(words["classes"]),
        "findings": _words(words["findings"]),
        "preprocessing": words["preprocessing"],
        **{key: words[key] for key in ("size", "name") if words[key]},
    }
    if words["rule"]:
        said["rule"] = rules.read(Path(words["rule"]).expanduser()).bounds
    told = merge(said, parse_overrides(overrides))
    params = validate({"name": "unnamed"} | told)
    return params.model_copy(update={"name": _name(told, results)})
