"""Where the time of a finished study goes, by stage: shares of all seconds that its cells took.

Budget: comparing maps takes at most a tenth. ``python -m bench.shares [FOLDER]`` reads the
provenance of a published study.
"""

import json
import sys
from collections import Counter
from pathlib import Path

from lib.study.paths import ROOT

BUDGET = 0.1


def shares(seconds: dict[str, float]) -> dict[str, float]:
    """Share of every stage; of the maps that share a notebook the longest time counts."""
    spent: Counter = Counter()
    for name, took in seconds.items():
        folder, *inside = Path(name).with_suffix("").parts
        if folder == "maps":
            spent[folder, inside[0]] = max(spent[folder, inside[0]], took)
        else:
            stage = inside[-1].rsplit("-s", 1)[0] if folder == "models" else name
            spent[stage, ""] += took
    stages: Counter = Counter()
    for (stage, _), took in spent.items():
        stages[stage] += took
    return {stage: took / stages.total() for stage, took in stages.most_common()}


def main(folder: Path = ROOT / "results/reference/phantom") -> None:
    """Print a line."""
    seconds = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["seconds"]
    found = shares(seconds)
    told = ", ".join(f"{stage} {share:.0%}" for stage, share in found.items())
    drift = sum(share for stage, share in found.items() if stage.startswith("tables/drift"))
    met = "met" if drift <= BUDGET else "NOT met"
    print(f"shares of {folder.name}: {told}; ", end="")
    print(f"comparing maps {drift:.0%} (budget {BUDGET:.0%}: {met})")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
