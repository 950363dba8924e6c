"""The tables of a study, stated once: which step writes them, when, and with which columns.

Files are the doors between rooms: a step reads the tables of the steps before it and nothing else
of them. A table that is written with other columns than these is refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lib.study.artefacts import write_table

CELL = ["architecture", "method", "role", "pairing"]
"""What makes a comparison: a network, a method, a layer's role and a kind of checkpoints."""

PAIRINGS = (
    *("finetune", "corrected", "placebo", "shuffled", "perturbed", "head_only", "features_only"),
    *("finetune_seeds", "transfer_seeds"),
    *("explainer", "randomised", "ceiling"),
)
"""Kinds of pairs of checkpoints, see `lib.drift.pairings`."""
SEED_PAIRINGS = ("finetune_seeds", "transfer_seeds")
AUDIT_PAIRINGS = ("change", "explainer", "ceiling", "randomised")
STRATA = ("kept-correct", "rescued", "lost", "kept-wrong")
"""Outcomes of a film: before and after, right and wrong."""

_SCORES = ["loss", "accuracy", "balanced_accuracy", "macro_auc"]
_MEAN = ["n", "mean", "sd", "sd_pairs", "blank"]
ESTIMATE = ["estimate", "se", "se_patients", "se_seeds", "df", "low", "high", "seed_level"]
"""Columns of a contrast with its interval, and what it rests on."""
COUNTS = ["films", "patients", "seeds", "pairs", "blank"]
_EFFECTS = [
    f"{effect}{part}"
    for effect in ("effect_a", "effect_b", "interaction")
    for part in ("", "_low", "_high", "_df")
]
_TESTS = ["p_cross", "p_ruled_out"]
_GAINS = [
    *(*CELL, "before", "after", "image_id", "partner_id", "common", "own", "patient_id"),
    "lesion_gain",
]


@dataclass(frozen=True)
class Table:
    """One table in ``tables/<name>.csv``.

    Attributes
    ----------
    step : str
        The notebook that writes it.
    columns : list of str
        In the order of the file.
    when : {"always", "lesions", "shortcut", "asked"}
        In every study, where the lesions are known, where a shortcut was planted, or where a verb
        of the Makefile other than `reproduce` asks for it.
    open : bool
        Whether columns by class, architecture or metric of drift may stand between and after these.
    published : bool
        Whether it is small enough to be copied into ``results/reference``.
    """

    step: str
    columns: list[str]
    when: str = "always"
    open: bool = False
    published: bool = True


TABLES = {
    "drift": Table("05_drift", [*CELL, "metric", "pairs", *_MEAN]),
    "strata": Table("05_drift", [*CELL, "stratum", "metric", "pairs", *_MEAN]),
    "ranking": Table("05_drift", [*CELL, "metric", "pairs", *_MEAN, "rank"]),
    "performance": Table(
        "05_drift",
        ["architecture", "checkpoint", "split", "n", *_SCORES, "ece", "brier", "training"],
        open=True,
    ),
    "history": Table(
        "05_drift",
        [
            *("architecture", "checkpoint", "epoch", "train_loss", "steps", *_SCORES),
            *("kept", "converged"),
        ],
        open=True,
    ),
    "confusion": Table("05_drift", ["architecture", "checkpoint", "true", "predicted", "count"]),
    "support": Table("05_drift", ["label", "films", "common"], open=True),
    "blanks": Table(
        "05_drift",
        ["architecture", "checkpoint", "role", "method", "label", "reason", "blank", "n"],
    ),
    "pairs": Table(
        "05_drift",
        [
            *("architecture", "pairing", "before", "after", "role", "method"),
            *("image_id", "partner_id", "stratum", "common", "own", "blank"),
        ],
        open=True,
        published=False,
    ),
    "transitions": Table(
        "05_drift",
        [
            *(*CELL, "label", "films", "present", "vanished", "appeared", "blank"),
            *("iou_top20", "iou_top20_lost_as_0"),
        ],
    ),
    "seed_agreement": Table(
        "05_drift",
        [
            *(*CELL, "before", "after", "image_id", "partner_id", "common", "own"),
            *("partial", "partial_other"),
        ],
        published=False,
    ),
    "trajectory": Table(
        "05_drift",
        [
            *("architecture", "checkpoint", "epoch", "kept", "role", "method", "films", "blank"),
            *("unit_distance", "soft_iou", "iou_top20", "lesion_mass"),
            *("macro_auc", "balanced_accuracy"),
        ],
    ),
    "metric_agreement": Table(
        "05_drift",
        ["architecture", "role", "method", "metric_a", "metric_b", "rho", "pairs", "runs"],
    ),
    "consistency": Table(
        "05_drift",
        ["architecture", "checkpoint", "role", "method", "label", "films", "blank", "c_score"],
    ),
    "confidence": Table(
        "05_drift",
        [
            *("architecture", "pairing", "role", "method", "target", "metric", "relation"),
            *("rho", "low", "high", "n", "blank", "films", "patients", "runs"),
        ],
    ),
    "faithfulness": Table(
        "05_drift",
        [
            *("architecture", "checkpoint", "role", "method", "films", "patients", "blank"),
            *("deletion", "insertion", "deletion_random", "insertion_random"),
            *("excess", "low", "high", "finding"),
        ],
    ),
    "evidence": Table(
        "05_drift",
        [
            *("architecture", "stage", "role", "method", "measure", "n", "patients"),
            *("mean", "low", "high", "blank", "uniform", "centre"),
        ],
        when="lesions",
    ),
    "evidence_change": Table(
        "05_drift",
        [
            *("architecture", "pairing", "role", "method", "measure"),
            *("n", "patients", "mean", "low", "high"),
        ],
        when="lesions",
    ),
    "validity": Table(
        "05_drift",
        [
            *("architecture", "pairing", "role", "method", "metric", "relation"),
            *("rho", "low", "high", "n", "blank", "films", "patients", "runs"),
        ],
        when="lesions",
    ),
    "lesion_gain": Table("05_drift", _GAINS, when="lesions", published=False),
    "shortcut": Table(
        "05_drift",
        _GAINS,
        when="shortcut",
    ),
    "marker_use": Table(
        "05_drift",
        [
            *("architecture", "stage", "marker", "films", "patients", "shown", "altered"),
            *("difference", "low", "high"),
        ],
        when="shortcut",
    ),
    "correction": Table(
        "05_drift",
        [
            *("architecture", "role", "method", "measure", "kind", "removed", "kept"),
            *("difference", "low", "high", "n", "patients", "finding"),
        ],
        when="shortcut",
    ),
    "retained": Table(
        "06_hypotheses", ["architecture", "method", "role", "metric", *ESTIMATE, *COUNTS]
    ),
    "contrasts": Table(
        "06_hypotheses",
        [
            *("architecture", "method", "role", "metric", "contrast"),
            *(*ESTIMATE, "p_value", *COUNTS),
        ],
    ),
    "supports": Table(
        "06_hypotheses", ["support", "architecture", "method", "role", "metric", *ESTIMATE, *COUNTS]
    ),
    "decomposition": Table(
        "06_hypotheses", ["architecture", "method", "role", "part", *ESTIMATE, *COUNTS]
    ),
    "head_and_features": Table(
        "06_hypotheses", ["architecture", "method", "role", "part", *ESTIMATE, *COUNTS]
    ),
    "partial_agreement": Table(
        "06_hypotheses", ["architecture", "method", "role", "measure", *ESTIMATE, *COUNTS]
    ),
    "crossover": Table(
        "06_hypotheses",
        [
            *("metric", "first", "second", "role", "method_a", "method_b", *_EFFECTS, *_TESTS),
            *("margin", "seed_level", "films", "pairs", "blank", "undefined", "problem"),
            *(*(f"{test}_adjusted" for test in _TESTS), "answer"),
        ],
    ),
    "ranks": Table(
        "06_hypotheses",
        ["method", "role", "architecture", "rank", "probability", "resamples", "seeds"],
    ),
    "agreement": Table(
        "06_hypotheses",
        [
            *("method_a", "method_b", "role", "tau", "probability", "resamples", "observed"),
            "architectures",
        ],
    ),
    "priors": Table(
        "06_hypotheses", ["grid", "prior", "metric", "mean", "sd", "se", "pairs", "exact"]
    ),
    "paper": Table("06_hypotheses", ["claim", "published", "measured", "holds", "differs"]),
    "sensitivity": Table(
        "A2_sensitivity",
        ["role", "method", "n", "blank", "order", "largest_change", "tau"],
        when="asked",
        open=True,
    ),
    "randomisation": Table(
        "A5_randomised_weights",
        [
            *("architecture", "method", "role", "step", "metric", "n", "blank", "mean", "low"),
            *("high", "excess", "excess_low", "excess_high", "entropy_rise", "finding"),
        ],
        when="asked",
    ),
    "remedies": Table(
        "A3_data_remedies",
        ["trial", "kind", "probe", "films", "balanced_accuracy", "sd", "chance", "change"],
        when="asked",
    ),
    "remedies_drift": Table(
        "A3_data_remedies",
        [
            *("architecture", "role", "method", "pairing", "before", "after", "change"),
            *("n_before", "n_after", "blank_before", "blank_after"),
        ],
        when="asked",
    ),
}


def written_by(step: str, *, shortcut: bool = False) -> list[str]:
    """Names of the tables that a step writes, the first of them with its manifest.

    Those of known lesions are written in every study, empty where the lesions are not known.
    """
    return [
        name
        for name, table in TABLES.items()
        if table.step == step and (shortcut or table.when != "shortcut")
    ]


def require_columns(frame: pd.DataFrame, columns: Iterable[str], name: str) -> None:
    """Raise ValueError, naming what is missing, unless all columns are there."""
    if missing := [column for column in columns if column not in frame]:
        raise ValueError(f"{name}: found columns {list(frame)}; expected also {missing}.")


def check(name: str, frame: pd.DataFrame) -> None:
    """Raise ValueError unless a table has the columns of `TABLES`, in their order.

    A table without a row may lack them: an experiment that was not run has nothing to say.
    """
    table, found = TABLES[name], list(frame)
    expected = [column for column in found if column in table.columns] if table.open else found
    if len(frame) and expected != table.columns:
        raise ValueError(
            f"tables/{name}.csv: found columns {found}; expected {table.columns}"
            f"{' among them, in this order' if table.open else ''} (lib/study/schema.py)."
        )


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame]) -> list[Path]:
    """Check and write tables by name into a folder; the files, in the same order."""
    files = []
    for name, frame in tables.items():
        check(name, frame)
        files.append(folder / f"{name}.csv")
        write_table(files[-1], frame)
    return files
