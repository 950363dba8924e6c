"""How long a study takes: before it starts, and while it runs.

What a step costs is taken from the published study of phantoms, where every artefact has its
duration, and scaled by films, epochs and pixels. While a study runs, the steps that are done say by
how much this machine is faster or slower than that one.
"""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import pandas as pd

from lib.hypotheses.stated import Hypotheses
from lib.published import recompute
from lib.study.params import Params
from lib.study.paths import ROOT, StudyPaths

PUBLISHED = ROOT / "results/reference"
REFERENCE = PUBLISHED / "phantom"
START = {"densenet201": 60, "resnet50v2": 30, "inceptionv3": 45}
"""Rough seconds of one core to start a process and trace a network, whatever it then does."""
FRACTALS = (
    "Source weights are learnt from fractals first, where they are not there yet: not counted."
)
_SHORT, _LINE = 20, 110


@dataclass(frozen=True)
class Step:
    """A notebook of the workflow with its seconds on one core of the reference's machine."""

    name: str
    stage: str
    seconds: float


def recorded(reference: Path) -> dict:
    """Parameters of a published study, and the seconds of its artefacts."""
    return json.loads((reference / "provenance.json").read_text(encoding="utf-8"))


def films(params: Params) -> int:
    """Expected number of phantoms of a study."""
    phantom = params.data.phantom
    return round(
        len(params.classes) * phantom.patients_per_class * mean(phantom.images_per_patient)
    )


def steps(params: Params, *, count: int, reference: Path = REFERENCE) -> list[Step]:
    """The steps of a study of so many films in order; trainings end as early as in `reference`.

    That is a published study of phantoms. Without it no step has a duration.
    """
    if not (reference / "provenance.json").exists():
        return [Step(name, stage, 0.0) for name, stage, *_ in _named(params)]
    origin = recorded(reference)
    # A study that says nothing of controls was published before there were any.
    base = Params.model_validate({"controls": []} | origin["parameters"])
    split, before, more = params.data.split, base.data.split, count / films(base)
    test = more * split.test / before.test

    def of(pattern: str) -> float:
        return mean(s for name, s in origin["seconds"].items() if name.startswith(pattern))

    def traced(name: str, pattern: str, factor: float) -> float:
        pixels = (params.input_size[name] / base.input_size[name]) ** 2
        return START[name] + max((of(pattern) - START[name]) * factor * pixels, 0)

    def costs(kind: str, name: str) -> float:
        match kind:
            case "report":
                return 3 * _SHORT
            case "hypotheses":
                return _SHORT + of("verdicts")
            case "drift":
                sets = len(params.map_sets) * len(params.architectures)
                known = len(base.map_sets) * len(base.architectures)
                return _SHORT + of("tables/drift") * test * sets / known
            case "data":
                return of("data/") * more
            case "placebo":
                return of(f"models/{name}/placebo")
            case "transfer":
                return traced(name, f"models/{name}/transfer", more)
            case "maps":
                sets = len(params.map_sets) + (params.finetune.epochs if params.followed else 0)
                return traced(name, f"maps/{name}/", test * sets / len(base.map_sets))
        epochs = params.finetune.epochs / base.finetune.epochs
        return traced(name, f"models/{name}/finetune", more * epochs * split.train / before.train)

    return [Step(name, stage, costs(*what)) for name, stage, *what in _named(params)]


def _named(params: Params) -> list[tuple[str, str, str, str]]:
    """Name of each notebook, its stage, what it does and the architecture."""
    found = [("01_prepare_data", "data", "data", "")]
    for name in params.architectures:
        for seed in params.transfer_seeds:
            found.append((f"02_transfer-{name}-s{seed}", "transfer", "transfer", name))
        for seed in params.seeds:
            for mode in params.modes:
                found.append((f"03_{mode}-{name}-s{seed}", "fine-tuning", mode, name))
        found.append((f"04_attribute-{name}", "maps", "maps", name))
    last = {"05_drift": "drift", "06_hypotheses": "hypotheses", "07_report": "report"}
    return found + [(name, "comparison and report", kind, "") for name, kind in last.items()]


def plan(
    params: Params, rules: Hypotheses, *, count: int, cores: int, published: Path = PUBLISHED
) -> str:
    """What a study will cost, and which hypotheses it can judge, in lines for a terminal.

    `published` has the published studies; one of the same name says how large an effect must be.
    """
    table = pd.DataFrame(steps(params, count=count))
    total, seeds = table["seconds"].sum(), len(params.seeds)
    lines = ["How long it takes is not known: results/reference is not there."]
    if total:
        stages = table.groupby("stage", sort=False)["seconds"].agg(["size", "sum"])
        lines = [
            "Minutes of one core of the machine that made the published study, if trainings end as "
            "early as there:",
            *(f"{stage:24}{size:3} step{'s' * (size != 1):1} {spent / 60:5.0f} min"
              for stage, size, spent in stages.itertuples()),
            f"Together {total / 60:.0f} min, about {total / 60 / cores:.0f} on {cores} cores; what "
            "is already there is not made again.",
        ]  # fmt: skip
    head = (
        f"Study {params.study}: {count} films, {len(params.architectures)} architectures, "
        f"{seeds} fine-tuning seed{'s' * (seeds != 1)} of each, source weights: "
        f"{params.weights.source}"
    )
    lines = [head, *lines, *([FRACTALS] if params.weights.source == "fractal" else [])]
    test = params.data.split.test * count
    return "\n".join([*lines, *judged(params, rules, published=published, films=test)])


def _of_study(published: Path, study: str) -> Path:
    """Where a study is published: under its name, or under that of the study that it is like."""
    for file in sorted(published.glob("*/provenance.json")):
        if json.loads(file.read_text(encoding="utf-8"))["parameters"].get("study") == study:
            return file.parent
    return published / study


def judged(
    params: Params, rules: Hypotheses, *, published: Path = PUBLISHED, films: float = 0
) -> list[str]:
    """For each hypothesis, whether a study with these parameters can judge it, or what it lacks.

    With the smallest effect that it could show on so many test films, by the spread of the
    published study of the same name, where that has its pairs.
    """
    lines = []
    count = len(params.seeds)
    folder = _of_study(published, params.study)
    sizes = recompute.power(folder, rules, seeds=count, films=films) if films else {}
    for name, rule in rules.rules.items():
        unplanned = rule.looks and count not in rule.looks
        kept = [a for a in rule.architectures if a in params.architectures]
        lacks = [
            *(m for m in rule.methods if m not in params.attribution.methods),
            *(r for r in rule.roles if r not in params.attribution.roles),
            *([f"{rule.planned} seeds (it has {count})"] if unplanned else []),
            *(["two architectures"] if name == "H2" and len(kept) < 2 else []),
            *(["a planted shortcut"] if name == "H5" and not params.planted else []),
        ]
        answer = f"cannot be judged, for want of {', '.join(lacks)}" if lacks else "can be judged"
        size = "" if lacks else sizes.get(name, "")
        lines.append(" ".join(filter(None, (f"{name} {answer}: {rule.question}", size))))
    if sizes:
        lines.append(f"Sizes of effects: by the spread of results/reference/{folder.name}.")
    return lines


@dataclass
class Progress:
    """Where a run on so many cores stands: steps done, time left, and what is going on."""

    paths: StudyPaths
    planned: Sequence[Step]
    cores: int

    def __post_init__(self) -> None:
        self._begun = time.monotonic()
        self._before = {step.name for step in self.planned if self._done(step)}

    def _done(self, step: Step) -> bool:
        return self.paths.notebook(step.name).exists()

    def line(self) -> str:
        """The line, now."""
        done = [step for step in self.planned if self._done(step)]
        left = [step for step in self.planned if step not in done]
        own = [step.seconds for step in done if step.name not in self._before]
        running = self._running(left)
        text = f"{len(done)} of {len(self.planned)} steps"
        if sum(own) > 0:  # from then on it is known how fast this machine is
            pace = (time.monotonic() - self._begun) * self.cores / sum(own)
            rest = pace * sum(step.seconds for step in left) / self.cores
            text += f", about {max(rest / 60, 1):.0f} min left"
        return "; ".join([f"{time.strftime('%H:%M')} {text}", *running])

    def _running(self, left: Iterable[Step]) -> list[str]:
        told = []
        for step in left:
            log = self.paths.root / "logs" / f"{step.name}.log"
            if log.exists() and time.time() - log.stat().st_mtime < 900:
                lines = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n")
                last = [line for line in lines.splitlines() if line.startswith("epoch ")
                        or " films" in line]  # fmt: skip
                told.append(f"{step.name}{': ' if last else ''}{last[-1].strip() if last else ''}")
        return [text[:_LINE] for text in told]
