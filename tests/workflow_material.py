"""The workflow as a user starts it: verbs of the Makefile on the smoke study."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from lib.study.paths import ROOT


def make(verb, results, *words, check=True):
    """Run a verb of the Makefile with this Python and results folder of its own."""
    command = ["make", verb, "STUDY=smoke", f"RESULTS={results}", f"PY={sys.executable}", "STAMP=",
               "GPU=0", *words]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if check and done.returncode:
        logs = "\n".join(p.read_text()[-3000:] for p in Path(results).rglob("*.log"))
        raise AssertionError(f"{done.stdout[-5000:]}\n{done.stderr[-5000:]}\n{logs[-9000:]}")
    return done


def planned(results, *words) -> dict[str, int]:
    """Jobs by rule that a dry run announces."""
    text = make("plan", results, *words).stdout
    return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", text, re.M)}


def checkout(folder) -> Path:
    """A copy of what a run of the study needs, so that it has locks of its own."""
    folder.mkdir(parents=True)
    for name in ("lib", "notebooks", "params", "Snakefile", "Makefile", "README.md"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    return folder
