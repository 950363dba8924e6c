"""Which source files a notebook runs: those whose change makes the workflow run it again."""

import ast
from collections.abc import Collection
from pathlib import Path

from lib.study.paths import ROOT

FIRST_WITH_FIGURES = "05"
"""Notebooks named before this one train or explain, for hours; a colour must not repeat them."""


def sources(notebook: str) -> list[Path]:
    """A notebook, by name, and the modules of lib it uses; how figures look is left out early."""
    early = notebook < FIRST_WITH_FIGURES
    source = ROOT / f"notebooks/{notebook}.py"
    return [source, *sorted(modules(source, without=("figures",) if early else ()))]


def modules(source: Path, *, without: Collection[str] = ()) -> set[Path]:
    """The modules of lib that a file imports at its top level, and those that they import.

    Parameters
    ----------
    without : collection of str
        Wings that are left out, with all that is used through them alone.
    """
    found: set[Path] = set()
    waiting = [source]
    while waiting:
        used = {path for path in _imported(waiting.pop()) if path.parent.name not in without}
        waiting += used - found
        found |= used
    return found


def _imported(source: Path) -> set[Path]:
    found = set()
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lib":
            place = ROOT / node.module.replace(".", "/")
            here = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
            named = (place / f"{alias.name}.py" for alias in node.names)
            found |= {name if name.exists() else here for name in named}
    return found
