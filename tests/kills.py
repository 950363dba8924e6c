"""Kill runs at random moments; the same command again must end in the same artefacts.

``make kills KILLS=25 INTERRUPTS=5 SUBJECTS="prepare stored reference smoke"``, of each, or as many
as MINUTES allow. Every run is killed as one kills it: its make, any one of its processes, or all of
them at once (SIGKILL), or Ctrl-C (SIGINT); every other one while it writes a file. A run that comes
to its end is compared, byte for byte where that can be, with one that nobody disturbed, and the
next begins anew. A table says at last what was hit, what was found and what it cost.
"""

import argparse
import collections
import contextlib
import dataclasses
import hashlib
import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import stored_material as stored
import yaml
from workflow_material import checkout

from lib.study import running
from lib.study.artefacts import sha256
from lib.study.paths import StudyPaths

ONE_BACKBONE = (
    "data.phantom.patients_per_class=8 architectures=[resnet50v2] input_size.resnet50v2=96 "
    "attribution.methods=[layercam] attribution.roles=[auto_conv] weights.source=none "
    "transfer.epochs=3 transfer.patience=3 finetune.epochs=3"
)
PARTS = {"-m lib": "run", "-m snakemake": "snakemake", "execute.py": "papermill",
         "ipykernel": "kernel"}  # fmt: skip
_LEFTOVER = re.compile(r"\.(partial|running)-|\.failed\.ipynb$")


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is killed: words for make, the study, what is there before, and what is made."""

    words: tuple[str, ...]
    study: str
    before: Callable[[Path], None] = lambda results: None
    product: Callable[[StudyPaths], Path] = lambda paths: paths.root
    after: str = ""  # another subject, whose product is there before


def _stored(results: Path) -> None:
    """All up to the maps, as the workflow would have left it."""
    paths, params = stored.lay_out(results), stored.params()
    for architecture in params.architectures:
        for name in [n for n in params.checkpoints if n.startswith("transfer")]:
            np.save(paths.features(architecture, name), np.zeros(1))
    names = ["01_prepare_data", *(f"04_attribute-{a}" for a in params.architectures)]
    names += [f"{'02' if c.startswith('transfer') else '03'}_{mode}-{a}-s{seed}"
              for a in params.architectures for c in params.checkpoints
              for mode, seed in [c.split("-s")]]  # fmt: skip
    paths.notebook("x").parent.mkdir()
    for name in names:
        nbformat.write(nbformat.v4.new_notebook(), paths.notebook(name))


def _settings() -> str:
    """Parameters of the stored study, as SET takes them."""
    values = yaml.safe_load((stored.FOLDER / "params.yml").read_text(encoding="utf-8"))
    return " ".join(f"{key}={json.dumps(value)}" for key, value in values.items())


SUBJECTS = {
    "prepare": Subject(
        ("reproduce", "TARGETS=prepare", "SET=data.phantom.patients_per_class=8"), "smoke"
    ),
    "stored": Subject(
        ("reproduce", "TARGETS=report", f"SET={_settings()}"), stored.STUDY, before=_stored
    ),
    "reference": Subject(
        ("reference", "NAME=trial"), stored.STUDY, after="stored",
        product=lambda paths: paths.root.parents[1] / "results/reference/trial",
    ),
    "smoke": Subject(("reproduce", f"SET={ONE_BACKBONE}"), "smoke"),
}  # fmt: skip


def contents(folder: Path) -> dict[str, str]:
    """What is in every file that a run made, without when and in how much time it was made."""
    found = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(file.relative_to(folder))
        if name.endswith((".log", ".run.lock", "parameters.json")) or name.startswith("notebooks/"):
            continue
        if name.endswith(".csv.json") or file.name in ("provenance.json", "README.md"):
            found[name] = "there"  # times and durations
        elif name.endswith((".json", ".html", ".keras")):
            text = "" if file.suffix == ".keras" else file.read_text(encoding="utf-8")
            text = re.sub(r"[0-9a-f]{12,}|\d+([-.:T+]\d+)*", "#", text)
            found[name] = hashlib.sha256(text.encode()).hexdigest()
        else:
            found[name] = sha256(file)
    return found


def writes(folder: Path) -> bool:
    """Whether a run has a file there under way, or had one when it was killed."""
    return any(folder.rglob(".partial-*"))


def faults(folder: Path) -> list[str]:
    """Artefacts that count as complete and are not: half a file, or not what its manifest says."""
    found = []
    for manifest in [*folder.rglob("*.json"), *folder.rglob("*.ipynb")]:
        if any(map(_LEFTOVER.search, manifest.relative_to(folder).parts)):
            continue
        try:
            told = json.loads(manifest.read_text(encoding="utf-8"))
        except ValueError:
            found.append(f"{manifest}: half a file")
            continue
        if isinstance(told, dict) and told.get("status") == "complete":
            for name, facts in told["files"].items():
                file = manifest.parent / name
                if not file.exists() or sha256(file) != facts["sha256"]:
                    found.append(f"{file}: not what {manifest.name} says")
    return found


def tree(root: int) -> dict[int, str]:
    """Live processes that descend from one, by what they are."""
    children, lines = collections.defaultdict(list), {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            lines[int(process.name)] = (process / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
        children[parent].append(int(process.name))
    found, waiting = {}, [root]
    while waiting:
        pid = waiting.pop()
        line = lines.get(pid, "")
        found[pid] = next((part for mark, part in PARTS.items() if mark in line), "shell")
        waiting += children[pid]
    return found | {root: "make"}


class Trial:
    """A subject in a checkout of its own, and what became of it."""

    def __init__(self, name: str, folder: Path, rng: random.Random):
        self.name, self.subject, self.rng = name, SUBJECTS[name], rng
        self.home = checkout(folder / name)
        self.paths = StudyPaths(self.home / "results", self.subject.study)
        self.hits: collections.Counter = collections.Counter()
        self.stages: collections.Counter = collections.Counter()
        self.writing = 0
        self.wrong: list[str] = []
        self.ends, self.looks, self.spent, self.survivors = 0, 0, 0.0, set()
        self.prepare()
        self.seconds = self.finish()
        self.expected = contents(self.product)

    @property
    def product(self) -> Path:
        return self.subject.product(self.paths)

    def prepare(self) -> None:
        """Lay out anew what is there before the run."""
        start = self.home.parent / f"{self.name}-before"
        if not start.exists():
            start.mkdir()
            before = SUBJECTS[self.subject.after] if self.subject.after else self.subject
            before.before(start)
            if self.subject.after:
                shutil.rmtree(self.paths.results, ignore_errors=True)
                shutil.copytree(start, self.paths.results)
                assert self.start(before).wait() == 0, self.said()
                shutil.rmtree(start)
                shutil.copytree(self.paths.results, start, copy_function=shutil.copy2)
        shutil.rmtree(self.paths.results, ignore_errors=True)
        shutil.copytree(start, self.paths.results, copy_function=shutil.copy2)

    def start(self, subject: Subject | None = None) -> subprocess.Popen:
        subject = subject or self.subject
        profile = self.home / "profile"
        if subject.study == stored.STUDY:  # what the maps are made from is not there
            profile.mkdir(exist_ok=True)
            (profile / "config.yaml").write_text("allowed-rules: [drift, hypotheses, report]\n")
        command = ["make", *subject.words, f"STUDY={subject.study}", f"PY={sys.executable}",
                   "RESULTS=results", "STAMP=", "GPU=0", "CORES=1"]  # fmt: skip
        environment = os.environ | {"PYTHONPATH": str(self.home)}
        if profile.exists():
            environment["SNAKEMAKE_PROFILE"] = str(profile)
        with open(self.home / "said.log", "w") as said:
            return subprocess.Popen(
                command, cwd=self.home, env=environment, stdout=said, stderr=said,
                start_new_session=True,
            )  # fmt: skip

    def said(self) -> str:
        return (self.home / "said.log").read_text(errors="replace")[-3000:]

    def finish(self) -> float:
        """Run to the end; seconds that it took."""
        begun = time.monotonic()
        if self.start().wait():
            raise RuntimeError(f"{self.name}: does not go on\n{self.said()}")
        return time.monotonic() - begun

    def compare(self) -> None:
        """A run has ended by itself: is all there, and the same?"""
        self.ends += 1
        found = contents(self.product)
        names = {n for n in found.keys() | self.expected if found.get(n) != self.expected.get(n)}
        self.wrong += [f"other than undisturbed: {name}" for name in sorted(names)]
        self.wrong += faults(self.product)
        left = [path for path in self.home.glob("results/**/*") if _LEFTOVER.search(path.name)]
        left += self.home.glob(".snakemake/locks/*.lock")
        self.wrong += [f"left over: {path}" for path in left]
        self.wrong += [f"lives on: {pid}" for pid in running.processes(self.paths.root)]
        self.prepare()

    def disturb(self, number: signal.Signals) -> bool:
        """Start, and kill at a random moment; whether it was killed before its end."""
        begun, moment = time.monotonic(), self.rng.uniform(0, 1.1 * self.seconds)
        process, looked = self.start(), False
        while process.poll() is None and time.monotonic() < begun + moment:
            time.sleep(min(0.05, moment))
            if not looked and self.survivors and "snakemake" in tree(process.pid).values():
                looked = True
                both = self.survivors & set(running.processes(self.paths.root))
                self.wrong += [f"writes beside the next run: {pid}" for pid in both]
        if sum(self.hits.values()) % 2:  # while it writes, if it does so within seconds
            deadline = time.monotonic() + 10
            while process.poll() is None and not writes(self.home / "results"):
                if time.monotonic() > deadline:
                    break
                time.sleep(0.002)
        if process.poll() is not None:
            self.spent += time.monotonic() - begun
            if process.returncode:
                self.wrong.append(f"does not go on: {self.said()}")
            self.compare()
            return False
        self._kill(process, number)
        process.wait()
        self.spent += time.monotonic() - begun
        self.survivors = set(running.processes(self.paths.root))
        if not self.survivors:
            self.looks += 1
            self.wrong += faults(self.product)
            if self.subject.after and self.product.exists():  # it stands there whole or not at all
                self.wrong += ["half published"] * (contents(self.product) != self.expected)
        elif number == signal.SIGINT:
            self.wrong.append("an interruption left processes")
        return True

    def _kill(self, process: subprocess.Popen, number: signal.Signals) -> None:
        alive = tree(process.pid)
        names = [self._notebook(pid) for pid, part in alive.items() if part == "papermill"]
        stage = next(filter(None, names), "between" if "snakemake" in alive.values() else "begin")
        part = self.rng.choice(["all", *sorted(set(alive.values()))])
        part = "all" if number == signal.SIGINT else part
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
            if part == "all":
                os.killpg(process.pid, number)
            else:
                os.kill(next(pid for pid, is_ in alive.items() if is_ == part), number)
        self.hits[number.name, part] += 1
        self.stages[self.name if stage == "begin" else stage] += 1
        self.writing += writes(self.home / "results")

    @staticmethod
    def _notebook(pid: int) -> str:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        except OSError:
            return ""
        named = [word for place, word in enumerate(words) if words[place - 1].endswith("ute.py")]
        return next(iter(named), "").split()[0] if named else ""


def campaign(trial: Trial, *, kills: int, interrupts: int, seconds: float = math.inf) -> dict:
    """Disturb a subject so often, or so long, run it to its end, and say what was found."""
    waiting = [signal.SIGKILL] * kills + [signal.SIGINT] * interrupts
    trial.rng.shuffle(waiting)
    deadline = time.monotonic() + seconds
    while waiting and time.monotonic() < deadline:
        if trial.disturb(waiting[-1]):
            print(trial.name, waiting.pop().name, len(waiting), "to go", flush=True)
        if trial.wrong:
            break
    if not trial.wrong:
        trial.spent += trial.finish()
        trial.compare()
    counts = {
        name: sum(n for (number, _), n in trial.hits.items() if number == name)
        for name in ("SIGKILL", "SIGINT")
    }
    killed = sum(counts.values())
    lost = (trial.spent - trial.ends * trial.seconds) / killed if killed else math.nan
    return {
        "subject": trial.name, **counts, "while writing": trial.writing, "looks": trial.looks,
        "ends": trial.ends, "wrong": trial.wrong, "s undisturbed": round(trial.seconds, 1),
        "s lost per kill": round(lost, 1), "stages": dict(sorted(trial.stages.items())),
        "processes": {" ".join(key): n for key, n in sorted(trial.hits.items())},
    }  # fmt: skip


def table(found: Sequence[dict]) -> str:
    """What was hit, found and lost, a line for each subject, and all stages that were hit."""
    lines = pd.DataFrame(found).drop(columns=["stages", "processes"])
    lines["wrong"] = lines["wrong"].map(len)
    sums = lines[["SIGKILL", "SIGINT", "while writing", "looks", "ends", "wrong"]].sum()
    lines = pd.concat([lines, pd.DataFrame([{"subject": "all", **sums}])])
    stages = sum((collections.Counter(one["stages"]) for one in found), collections.Counter())
    told = ", ".join(f"{stage} {n}" for stage, n in sorted(stages.items()))
    return f"{lines.to_string(index=False, na_rep='')}\nhits by stage: {told}"


def main() -> int:
    """Command line; 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subjects", nargs="*", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--kills", type=int, default=25, help="SIGKILLs of each")
    parser.add_argument("--interrupts", type=int, default=5, help="SIGINTs of each")
    parser.add_argument("--minutes", type=float, default=math.inf, help="of all together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary one)")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="kills-"))
    deadline, found = time.monotonic() + 60 * options.minutes, []
    for number, name in enumerate(options.subjects):
        share = (deadline - time.monotonic()) / (len(options.subjects) - number)
        begun = time.monotonic()
        trial = Trial(name, folder, random.Random(f"{name} {options.seed}"))
        left = share - (time.monotonic() - begun) - trial.seconds  # it is run to its end as well
        found.append(
            campaign(trial, kills=options.kills, interrupts=options.interrupts, seconds=left)
        )
        print(json.dumps(found[-1], indent=2), flush=True)
    print(table(found))
    return int(any(one["wrong"] for one in found))


if __name__ == "__main__":
    sys.exit(main())
