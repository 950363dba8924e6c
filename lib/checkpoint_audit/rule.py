"""A rule that says beforehand which update of a model is accepted, and whether one is.

Each criterion is held against an interval: passed where all of it lies on the good side, failed
where all of it lies on the bad one, and otherwise it cannot be told.
"""

import json
from pathlib import Path
from typing import Annotated
from xml.etree import ElementTree

import pandas as pd
from pydantic import Field, ValidationError

from lib.study.artefacts import write_json, write_text
from lib.study.data_params import Section
from lib.study.errors import ParamsError
from lib.study.load import explain, read_yaml

Share = Annotated[float, Field(ge=0, le=1, strict=True)] | None

FILES = ("rule.json", "rule.junit.xml")
"""What `write` makes."""
EXAMPLE = "retained_evidence_at_least: 0.8"
PASSED, FAILED, OPEN = VERDICTS = ("passed", "failed", "cannot be told")
"""In the order of the exit codes."""


class Rule(Section):
    """Acceptance criteria, each a share between 0 and 1; those that are not given are not asked.

    ``retained_evidence``: R, where 1 is the same checkpoint explained twice and 0 are maps of
    unrelated films; ``class_…``: for every class by itself; ``blank_maps``: share of the pairs of
    maps; ``accuracy_loss``: accuracy before less accuracy after; ``class_accuracy``: share of the
    films of each class that AFTER names so.
    """

    retained_evidence_at_least: Share = None
    class_retained_evidence_at_least: Share = None
    blank_maps_at_most: Share = None
    accuracy_loss_at_most: Share = None
    class_accuracy_at_least: Share = None

    @property
    def bounds(self) -> dict[str, float]:
        """The criteria that are asked."""
        return self.model_dump(exclude_none=True)


def read(path: Path) -> Rule:
    """The rule of a YAML file; a ParamsError if a criterion is unknown, out of range or absent."""
    lines = f"lines such as {EXAMPLE!r}"
    values = read_yaml(
        Path(path), name=f"RULE={path}", missing=f"no such file; expected a YAML file with {lines}",
        expected=f"{lines}; criteria: {', '.join(Rule.model_fields)}",
    )  # fmt: skip
    try:
        rule = Rule.model_validate({str(key): value for key, value in values.items()})
    except ValidationError as error:
        faults = [f"RULE={path}: {explain(fault, Rule)}" for fault in error.errors()]
        raise ParamsError("\n".join(faults)) from None
    if not rule.bounds:
        raise ParamsError(f"RULE={path}: every criterion is empty, expected such as {EXAMPLE!r}")
    return rule


def judge(rule: Rule, measured: pd.DataFrame) -> pd.DataFrame:
    """Hold every criterion against the intervals of `measured`.

    ``criterion``, ``label`` (the class, "" for all), ``bound``, ``estimate``, ``low``, ``high``,
    ``verdict`` (of `VERDICTS`).
    """
    rows = []
    for criterion, bound in rule.bounds.items():
        measure, least, _ = criterion.removesuffix("_at_most").partition("_at_least")
        own = measured[measured["measure"] == measure]
        for row in own.itertuples():
            low, high = row.low, row.high
            good, bad = (low >= bound, high < bound) if least else (high <= bound, low > bound)
            said = PASSED if good else FAILED if bad else OPEN
            rows.append([criterion, row.label, bound, row.estimate, low, high, said])
    columns = ["criterion", "label", "bound", "estimate", "low", "high", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def verdict(judged: pd.DataFrame) -> str:
    """Verdict on all criteria: failed if one is, passed if all are."""
    found = set(judged["verdict"])
    return FAILED if FAILED in found else OPEN if OPEN in found or not found else PASSED


def words(row: pd.Series) -> str:
    """A criterion in words: "retained evidence at least 0.8 (ill)"."""
    of = f" ({row['label']})" if row["label"] else ""
    return f"{row['criterion'].replace('_', ' ')} {row['bound']:g}{of}"


def found(row: pd.Series) -> str:
    """What was found for a criterion: "0.110, interval 0.070 to 0.140"."""
    if pd.isna(row["estimate"]):
        return "nothing to measure"
    return f"{row['estimate']:.3f}, interval {row['low']:.3f} to {row['high']:.3f}"


def write(judged: pd.DataFrame, folder: Path) -> list[Path]:
    """Write ``rule.json`` and ``rule.junit.xml`` (for continuous integration).

    In JUnit's terms a criterion that failed is a failure, and one that cannot be told an error:
    neither is a pass.
    """
    rows = json.loads(judged.to_json(orient="records"))
    told, junit = (folder / file for file in FILES)
    write_json(told, {"verdict": verdict(judged), "criteria": rows})
    suite = ElementTree.Element(
        "testsuite", name=folder.name, tests=str(len(judged)),
        failures=str((judged["verdict"] == FAILED).sum()),
        errors=str((judged["verdict"] == OPEN).sum()),
    )  # fmt: skip
    for _, row in judged.iterrows():
        name = "".join(letter if letter.isprintable() else "?" for letter in words(row))
        case = ElementTree.SubElement(suite, "testcase", classname="rule", name=name)
        if tag := {FAILED: "failure", OPEN: "error"}.get(row["verdict"]):
            ElementTree.SubElement(case, tag, message=f"{row['verdict']}: {found(row)}")
    text = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True).decode()
    write_text(junit, text + "\n")
    return [folder / file for file in FILES]


def exit_code(folder: Path) -> int:
    """0 where the rule of an audit is passed or none was stated, 1 failed, 2 cannot be told."""
    file = folder / FILES[0]
    return VERDICTS.index(json.loads(file.read_text())["verdict"]) if file.exists() else 0
