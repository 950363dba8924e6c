"""Docstrings of what notebooks call: every parameter is described, and no other.

Read by `ast` alone. Classes are described by their fields, so only functions are looked at.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SECTION = re.compile(r"^Parameters\n-+\n(?P<body>.*?)(?=^\S[^\n]*\n-+$|\Z)", re.M | re.S)


def module_file(module: str) -> Path | None:
    """The file of a module or package of lib, None for anything else."""
    path = ROOT.joinpath(*module.split("."))
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def called(source: str) -> set[tuple[str, str]]:
    """Module and name of what a notebook calls of lib, through the names it imports."""
    tree = ast.parse(source)
    modules, names = {}, {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lib":
            for alias in node.names:
                given, full = alias.asname or alias.name, f"{node.module}.{alias.name}"
                if module_file(full):
                    modules[given] = full
                else:
                    names[given] = (node.module, alias.name)
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) if name in names:
                found.add(names[name])
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in modules:
                found.add((modules[name], attribute))
    return found


def function(module: str, name: str) -> tuple[str, ast.FunctionDef] | None:
    """A function and the module that defines it, also where a package hands it on."""
    for node in ast.parse(module_file(module).read_text()).body:
        match node:
            case ast.FunctionDef() if node.name == name:
                return module, node
            case ast.ImportFrom(module=origin, names=aliases, level=0):
                for alias in aliases:
                    if (alias.asname or alias.name) == name and module_file(origin or ""):
                        return function(origin, alias.name)
    return None


def signature(node: ast.FunctionDef) -> list[str]:
    """The parameters as a docstring writes them."""
    of = node.args
    starred = [f"*{of.vararg.arg}"] if of.vararg else []
    starred += [f"**{of.kwarg.arg}"] if of.kwarg else []
    return [arg.arg for arg in (*of.posonlyargs, *of.args, *of.kwonlyargs)] + starred


def described(docstring: str | None) -> list[str]:
    """The names in the Parameters section."""
    section = SECTION.search(docstring or "")
    entries = re.findall(r"^(\S[^:\n]*)", section["body"], re.M) if section else []
    return [name.strip() for entry in entries for name in entry.split(",")]


FOUND = {}
for notebook in sorted((ROOT / "notebooks").glob("*.py")):
    for used in called(notebook.read_text()):
        if (definition := function(*used)) and len(signature(definition[1])) >= 3:
            FOUND[f"{definition[0]}.{definition[1].name}"] = definition[1]


@pytest.mark.parametrize("name", sorted(FOUND))
def test_every_parameter_is_described_and_no_other(name):
    node = FOUND[name]
    assert sorted(described(ast.get_docstring(node))) == sorted(signature(node))


def test_calls_of_notebooks_are_found():
    source = """
import numpy as np
from lib.data import batches, cache as image_cache
from lib.study import derive
from lib.attribution.maps import load_maps as read
np.sort(batches.sample(image_cache.open("folder"), 3, seed=derive(1)))
read()
"""
    assert called(source) == {
        ("lib.data.batches", "sample"), ("lib.data.cache", "open"), ("lib.study", "derive"),
        ("lib.attribution.maps", "load_maps"),
    }  # fmt: skip
    # A package hands this one on.
    assert function("lib.study", "load_stage")[0] != "lib.study"
    assert {"lib.data.batches.sample", "lib.attribution.maps.load_maps"} <= set(FOUND)


ENTRIES = "a, b : int\n    Two: numbers.\n*rest : str\nkey\n    As in `other`.\n"


@pytest.mark.parametrize(
    ("docstring", "names"),
    [
        (f"Summary.\n\nParameters\n----------\n{ENTRIES}", ["a", "b", "*rest", "key"]),
        (
            f"Summary.\n\nParameters\n----------\n{ENTRIES}\nReturns\n-------\nfound : int\n",
            ["a", "b", "*rest", "key"],
        ),
        ("Summary of a, b, rest and key.", []),
        ("Summary.\n\nReturns\n-------\na : int\n", []),
        (None, []),
    ],
)
def test_names_are_read_from_the_section_alone(docstring, names):
    node = ast.parse("def f(a, b, *rest, key): ...").body[0]
    assert signature(node) == ["a", "b", "key", "*rest"]
    assert described(docstring) == names
