"""Every look at a study that was published, in one table: none is forgotten when it is replaced."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from lib.study.artefacts import read_table, write_table
from lib.study.paths import ROOT

FILE = ROOT / "results/reference/looks.csv"
HYPOTHESES = [f"H{number}" for number in range(1, 7)]
_RUN = ("finished", "study", "code", "source_weights", "transfer_seeds", "seeds", "rules")
COLUMNS = [*_RUN, *HYPOTHESES]


def row(name: str, provenance: Mapping, answers: Mapping) -> dict:
    """What was run and published under a name, and what ``verdicts.json`` answers."""
    parameters, found = provenance["parameters"], answers["verdicts"]
    return {
        "finished": provenance["finished"][:10],
        "study": name,
        "code": provenance["code"][:7],
        "source_weights": parameters["weights"]["source"],
        "transfer_seeds": len(parameters["transfer_seeds"]),
        "seeds": len(parameters["seeds"]),
        # Version 1 of the rules did not say its version.
        "rules": answers.get("rules", {}).get("version", 1),
        **{name: found.get(name, {}).get("verdict", "not asked") for name in HYPOTHESES},
    }


def append(look: Mapping, file: Path = FILE) -> None:
    """Add a look to those in a table, unless it is there."""
    before = read_table(file) if file.exists() else pd.DataFrame(columns=COLUMNS)
    table = pd.concat([before, pd.DataFrame([look])[COLUMNS]], ignore_index=True).astype(str)
    write_table(file, table.drop_duplicates())
