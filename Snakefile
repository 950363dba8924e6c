# The study as a graph of notebooks: params → data → checkpoints → maps → tables and figures.
# Started by the Makefile, with the parameters that lib.study.load resolved and checked as the config.

import hashlib
import json
import shlex
import sys
from pathlib import Path

sys.path.insert(0, workflow.basedir)

from lib.study.artefacts import manifest_path
from lib.study.paths import StudyPaths, resolve
from lib.study.load import settings, validate
from lib.study.names import MATCHED
from lib.study.reruns import sources
from lib.study.schema import written_by
from lib.models.weights import weights_file

GPU = int(config.pop("gpu", 0) or 0)
RESULTS = config.pop("results", "results")
BEFORE = config.pop("before", "") or ""
PARAMS = validate(config, origin="config")
P = StudyPaths(RESULTS, PARAMS.study)
BASE = Path(workflow.basedir)
RECORDED = PARAMS.weights.source in ("drawn", "fractal")  # files with a record of their own


def code(name: str) -> list[str]:
    """Source of a notebook and of all that it uses: a change of one reruns its cells."""
    return [str(path) for path in sources(name)]


def files(*paths: Path) -> list[str]:
    """Files of an artefact with the manifest of the first, which says that they are complete."""
    return [str(path) for path in (*paths, manifest_path(paths[0]))]


def checkpoint(architecture: str, name: str) -> list[str]:
    features = [P.features(architecture, name)] if name.startswith("transfer") else []
    return files(
        P.checkpoint(architecture, name), P.history(architecture, name),
        P.predictions(architecture, name), *features,
    )


def explained(architecture: str) -> list[str]:
    return [file for name in PARAMS.map_sets for file in files(P.maps(architecture, name))]


def source_weights(wildcards) -> list[str]:
    file = weights_file(wildcards.architecture, PARAMS.weights, P, seed=PARAMS.seed)
    return (files(file) if RECORDED else [str(file)]) if file else []


def arguments(stage: str, **values):
    """Parameters of a notebook: its part of the resolved study, and its place in the grid.

    The part says all, so that the notebook looks nothing up; and no more than the stage reads, so
    that another change does not rerun it.
    """
    part = settings(PARAMS, stage)

    def of(wildcards) -> str:
        given = {name: convert(wildcards) for name, convert in values.items()}
        return json.dumps({"study": part["study"], "settings": part, "results": RESULTS} | given)

    return of


def listing(folder: Path | None) -> str:
    """Hash of the names, sizes and times in a folder of films: a new film is a change."""
    if folder is None or not folder.is_dir():
        return ""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    facts = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in found]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


ARCHITECTURE = lambda wildcards: wildcards.architecture
SEED = lambda wildcards: int(wildcards.seed)
# The longest chain first: it would otherwise end alone, on one core of several.
SLOWEST_FIRST = lambda wildcards: {"densenet201": 2, "inceptionv3": 1}.get(wildcards.architecture, 0)
SOURCE = None if PARAMS.data.source == "phantom" else resolve(PARAMS.data.source)
CELLS = [(a, c) for a in PARAMS.architectures for c in PARAMS.checkpoints]


def quote(word: str) -> str:
    """A word of the shell, which Snakemake formats first."""
    return shlex.quote(word).replace("{", "{{").replace("}", "}}")


# What could not say why it failed, as a program that was killed, has at least a last line.
LAST = """awk 'END {{print "error: " ($0 ? $0 : "no word in the log; is the disk full?")}}' {log:q}"""
RUN = (
    "TF_NUM_INTRAOP_THREADS={threads} OMP_NUM_THREADS={threads} "
    f"{quote(sys.executable)} {quote(str(BASE / 'notebooks/execute.py'))} "
    "{params.notebook} --output {output.notebook:q} --parameters {params.arguments:q} "
    "> {log:q} 2>&1 || {{ {{ grep '^error: ' {log:q} || " + LAST + "; }} >&2; exit 1; }}"
)
NETWORK = f"STUDY_DEVICES={GPU} {RUN}"  # a device of its own, of so many
# Two cells at a time on two cores: tracing a graph uses one core, whatever the other is doing.
THREADS = max(1, workflow.cores // (GPU or 3))
DATA = files(P.manifest, *(P.images(size) for size in PARAMS.sizes))
NATIVE = [str(P.images(size)) for size in PARAMS.native_sizes]
SHORTCUT = PARAMS.planted
CORRECTED = [str(P.corrected(size)) for size in PARAMS.sizes] if SHORTCUT else []
TABLES, INFERENCE = (
    [P.tables / f"{name}.csv" for name in written_by(step, shortcut=SHORTCUT)]
    for step in ("05_drift", "06_hypotheses")
)


wildcard_constraints:
    architecture="|".join(PARAMS.architectures),
    seed=r"\d+",
    mode="|".join(PARAMS.modes),


# Every cell is listed: Snakemake would take a deleted intermediate for "nothing to do".
rule all:
    input:
        DATA,
        [checkpoint(a, c) for a, c in CELLS],
        [explained(a) for a in PARAMS.architectures],
        files(*TABLES),
        str(P.notebook("05_drift")),
        files(P.verdicts, *INFERENCE),
        str(P.notebook("06_hypotheses")),
        files(P.report),
        str(P.notebook("07_report")),
    message:
        "the study is complete"


rule pretrain:
    input:
        code("00_pretrain_source"),
    output:
        files(P.weights("{architecture}", "fractal-{key}"))
        + [str(P.weights("{architecture}", "fractal-{key}").with_suffix(".history.csv"))],
        notebook=str(P.weights("{architecture}", "fractal-{key}").with_suffix(".ipynb")),
    params:
        notebook="00_pretrain_source",
        arguments=arguments("pretrain", architecture=ARCHITECTURE),
    log:
        str(P.weights("{architecture}", "fractal-{key}").with_suffix(".log")),
    priority:
        SLOWEST_FIRST
    threads: THREADS
    resources:
        gpu=min(GPU, 1),
    message:
        "pre-train {wildcards.architecture} on fractals"
    shell:
        NETWORK


rule prepare:
    input:
        code("01_prepare_data"),
        [str(SOURCE)] if SOURCE and SOURCE.is_file() else [],
    output:
        DATA + CORRECTED + NATIVE + [str(P.data / "rejected.csv"), str(P.data / "audit.json")],
        notebook=str(P.notebook("01_prepare_data")),
    params:
        notebook="01_prepare_data",
        arguments=arguments("prepare"),
        films=listing(SOURCE),
    log:
        str(P.root / "logs/01_prepare_data.log"),
    message:
        "prepare the data of {PARAMS.study}"
    shell:
        RUN


rule transfer:
    input:
        code("02_transfer"),
        DATA,
        source_weights,
    output:
        checkpoint("{architecture}", "transfer-s{seed}"),
        notebook=str(P.notebook("02_transfer-{architecture}-s{seed}")),
    params:
        notebook="02_transfer",
        arguments=arguments("transfer", architecture=ARCHITECTURE, seed=SEED),
    log:
        str(P.root / "logs/02_transfer-{architecture}-s{seed}.log"),
    priority:
        SLOWEST_FIRST
    threads: THREADS
    resources:
        gpu=min(GPU, 1),
    message:
        "transfer {wildcards.architecture}, seed {wildcards.seed}"
    shell:
        NETWORK


def starting_points(wildcards) -> list[str]:
    before = [PARAMS.start_of(wildcards.mode)]
    if wildcards.mode in MATCHED:  # their number of steps is that of the kept fine-tuned epoch
        before.append(f"finetune-s{wildcards.seed}")
    return [file for name in before for file in checkpoint(wildcards.architecture, name)]


rule finetune:
    input:
        code("03_finetune"),
        DATA,
        lambda wildcards: CORRECTED if wildcards.mode == "corrected" else [],
        starting_points,
    output:
        checkpoint("{architecture}", "{mode}-s{seed}"),
        notebook=str(P.notebook("03_{mode}-{architecture}-s{seed}")),
    params:
        notebook="03_finetune",
        arguments=arguments(
            "finetune", architecture=ARCHITECTURE, seed=SEED, mode=lambda w: w.mode,
            base=lambda w: PARAMS.start_of(w.mode),
            follow=lambda w: f"{w.mode}-s{w.seed}" == PARAMS.followed,
        ),
    log:
        str(P.root / "logs/03_{mode}-{architecture}-s{seed}.log"),
    priority:
        SLOWEST_FIRST
    threads: THREADS
    resources:
        gpu=min(GPU, 1),
    message:
        "{wildcards.mode} {wildcards.architecture}, seed {wildcards.seed}"
    shell:
        NETWORK


# All checkpoints of an architecture share one graph: tracing it once for each would cost more than
# the maps.
rule attribute:
    input:
        code("04_attribute"),
        DATA + CORRECTED,
        lambda wildcards: [
            file for name in PARAMS.checkpoints for file in checkpoint(wildcards.architecture, name)
        ],
    output:
        explained("{architecture}"),
        notebook=str(P.notebook("04_attribute-{architecture}")),
    params:
        notebook="04_attribute",
        arguments=arguments(
            "attribute", architecture=ARCHITECTURE, checkpoints=lambda w: list(PARAMS.map_sets),
            base=lambda w: PARAMS.base_transfer, followed=lambda w: PARAMS.followed,
        ),
    log:
        str(P.root / "logs/04_attribute-{architecture}.log"),
    priority:
        SLOWEST_FIRST
    threads: THREADS
    resources:
        gpu=min(GPU, 1),
    message:
        "attribute all checkpoints of {wildcards.architecture}"
    shell:
        NETWORK


# Not part of the study proper: `make sensitivity` asks for it.
rule sensitivity:
    input:
        code("A2_sensitivity"),
        DATA,
        NATIVE,
        [checkpoint(a, c) for a in PARAMS.architectures
         for c in (PARAMS.base_transfer, f"finetune-s{PARAMS.seeds[0]}")],
    output:
        files(P.tables / "sensitivity.csv", P.tables / "sensitivity_pairs.csv"),
        notebook=str(P.notebook("A2_sensitivity")),
    params:
        notebook="A2_sensitivity",
        arguments=arguments("sensitivity"),
    log:
        str(P.root / "logs/A2_sensitivity.log"),
    threads: THREADS
    resources:
        gpu=min(GPU, 1),
    message:
        "read the maps of {PARAMS.study} in every way"
    shell:
        NETWORK


rule randomisation:
    input:
        code("A5_randomised_weights"),
        DATA,
        [checkpoint(a, f"finetune-s{PARAMS.seeds[0]}") for a in PARAMS.architectures],
    output:
        files(P.tables / "randomisation.csv", P.tables / "randomisation_pairs.csv"),
        notebook=str(P.notebook("A5_randomised_weights")),
    params:
        notebook="A5_randomised_weights",
        arguments=arguments("sensitivity"),
    log:
        str(P.root / "logs/A5_randomised_weights.log"),
    threads: THREADS
    resources:
        gpu=min(GPU, 1),
    message:
        "randomise the networks of {PARAMS.study}"
    shell:
        NETWORK


# Not part of the study proper: `make remedies` asks for it, with BEFORE= for two studies' drift.
rule remedies:
    input:
        code("A3_data_remedies"),
        DATA,
        [files(where.tables / "drift.csv") for where in (P, StudyPaths(BEFORE, PARAMS.study)) if BEFORE],
    output:
        files(P.tables / "remedies.csv", P.tables / "remedies_drift.csv"),
        notebook=str(P.notebook("A3_data_remedies")),
    params:
        notebook="A3_data_remedies",
        arguments=arguments("remedies", before=lambda w: BEFORE),
    log:
        str(P.root / "logs/A3_data_remedies.log"),
    threads: workflow.cores
    message:
        "try remedies on the films of {PARAMS.study}"
    shell:
        RUN


rule drift:
    input:
        code("05_drift"),
        DATA,
        str(P.data / "audit.json"),
        [explained(a) for a in PARAMS.architectures],
        [checkpoint(a, c) for a, c in CELLS],
    output:
        files(*TABLES),
        notebook=str(P.notebook("05_drift")),
    params:
        notebook="05_drift",
        arguments=arguments("drift"),
    log:
        str(P.root / "logs/05_drift.log"),
    message:
        "compare the maps of {PARAMS.study}"
    shell:
        RUN


rule hypotheses:
    input:
        code("06_hypotheses"),
        str(BASE / "params/hypotheses.yml"),
        files(P.manifest),
        files(*TABLES),
    output:
        files(P.verdicts, *INFERENCE),
        notebook=str(P.notebook("06_hypotheses")),
    params:
        notebook="06_hypotheses",
        arguments=arguments("hypotheses"),
    log:
        str(P.root / "logs/06_hypotheses.log"),
    message:
        "judge the hypotheses on {PARAMS.study}"
    shell:
        RUN


SENSITIVITY = manifest_path(P.tables / "sensitivity.csv")
EXECUTED = [
    *("01_prepare_data", "05_drift", "06_hypotheses"),
    *(f"04_attribute-{a}" for a in PARAMS.architectures),
    *(f"{'02' if mode == 'transfer' else '03'}_{mode}-{a}-s{seed}"
      for a, c in CELLS for mode, seed in [c.split("-s")]),
]


rule report:
    input:
        code("07_report"),
        [str(file) for file in sorted((BASE / "lib/report/templates").glob("*.*")) if file.suffixes != [".md", ".j2"]],
        DATA,
        [explained(a) for a in PARAMS.architectures],
        files(*TABLES),
        files(P.verdicts),
        [str(P.notebook(name)) for name in EXECUTED],
    output:
        files(P.report),
        notebook=str(P.notebook("07_report")),
    params:
        notebook="07_report",
        arguments=arguments("report"),
        # Shown where `make sensitivity` has made it, but nothing that a report would start.
        sensitivity=lambda wildcards: SENSITIVITY.stat().st_mtime_ns if SENSITIVITY.exists() else 0,
    log:
        str(P.root / "logs/07_report.log"),
    message:
        "report on {PARAMS.study}"
    shell:
        RUN
