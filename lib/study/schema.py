"""The tables of a study, stated once: which step writes them, when, and with which columns.

Files are the doors between rooms: a step reads the tables of the steps before it and nothing else
of them. A table that is written with other columns than these is refused.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lib.study.artefacts import write_table

CELL = ["architecture", "method", "role", "pairing"]
"""What makes a comparison: a network, a method, a layer's role and a kind of checkpoints."""

PAIRINGS = (
    *("finetune", "corrected", "placebo", "shuffled", "restarted"),
    *("perturbed", "head_only", "features_only"),
    *("finetune_seeds", "transfer_seeds"),
    *("explainer", "randomised", "ceiling"),
)
"""Kinds of pairs of checkpoints, see `lib.drift.pairings`."""
SEED_PAIRINGS = ("finetune_seeds", "transfer_seeds", "starts")
"""Pairs of seeds. Those of fine-tunings from two transfer checkpoints have a table, ``starts``."""
AUDIT_PAIRINGS = ("change", "explainer", "ceiling", "randomised")
STRATA = ("kept-correct", "rescued", "lost", "kept-wrong")
"""Outcomes of a film: before and after, right and wrong."""

ESTIMATE = ["estimate", "se", "se_patients", "se_seeds", "df", "low", "high", "seed_level"]
"""Columns of a contrast with its interval, and what it rests on."""
COUNTS = ["films", "patients", "seeds", "pairs", "blank"]


@dataclass(frozen=True)
class Table:
    """One table in ``tables/<name>.csv``.

    Attributes
    ----------
    step : str
        The notebook that writes it.
    when : {"always", "lesions", "shortcut", "asked"}
        In which studies; "asked" is by a verb of the Makefile other than `reproduce`.
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


_CELL, _RESULT = " ".join(CELL), " ".join([*ESTIMATE, *COUNTS])
_MEAN = "n mean sd sd_pairs blank"
_SCORES = "loss accuracy balanced_accuracy macro_auc"
_OF_MAPS = "architecture method role"
_CORRELATION = "rho low high n blank films patients runs"
_GAINS = f"{_CELL} before after image_id partner_id common own patient_id lesion_gain"
_EFFECTS = " ".join(
    f"{effect}{part}"
    for effect in ("effect_a", "effect_b", "interaction")
    for part in ("", "_low", "_high", "_df")
)


def _written_in(step: str) -> Callable[..., Table]:
    """Tables of one notebook, their columns as words."""
    return lambda columns, **options: Table(step, columns.split(), **options)


_drift, _hypotheses = _written_in("05_drift"), _written_in("06_hypotheses")
_remedies = _written_in("A3_data_remedies")

TABLES = {
    "drift": _drift(f"{_CELL} metric pairs {_MEAN}"),
    "strata": _drift(f"{_CELL} stratum metric pairs {_MEAN}"),
    "ranking": _drift(f"{_CELL} metric pairs {_MEAN} rank"),
    "performance": _drift(
        f"architecture checkpoint split n {_SCORES} ece brier training", open=True
    ),
    "history": _drift(
        f"architecture checkpoint epoch train_loss steps {_SCORES} kept converged", open=True
    ),
    "confusion": _drift("architecture checkpoint true predicted count"),
    "support": _drift("label films common", open=True),
    "blanks": _drift("architecture checkpoint role method label reason blank n"),
    "pairs": _drift(
        "architecture pairing before after role method image_id partner_id stratum common own "
        "blank",
        open=True,
        published=False,
    ),
    "transitions": _drift(
        f"{_CELL} label films present vanished appeared blank iou_top20 iou_top20_lost_as_0"
    ),
    "seed_agreement": _drift(
        f"{_CELL} before after image_id partner_id common own partial partial_other",
        published=False,
    ),
    "starts": _drift(
        f"{_CELL} before after image_id partner_id common own partial partial_other shared moved",
        published=False,
    ),
    "trajectory": _drift(
        "architecture checkpoint epoch kept role method films blank unit_distance soft_iou "
        "iou_top20 lesion_mass macro_auc balanced_accuracy"
    ),
    "metric_agreement": _drift("architecture role method metric_a metric_b rho pairs runs"),
    "consistency": _drift("architecture checkpoint role method label films blank c_score"),
    "confidence": _drift(f"architecture pairing role method target metric relation {_CORRELATION}"),
    "faithfulness": _drift(
        "architecture checkpoint role method films patients blank deletion insertion "
        "deletion_random insertion_random excess low high finding"
    ),
    "perturbed": _drift(
        "architecture checkpoint role method stay resistance resistance_low resistance_high change "
        "relevance relevance_low relevance_high blank"
    ),
    "evidence": _drift(
        "architecture stage role method measure n patients mean low high blank uniform centre",
        when="lesions",
    ),
    "evidence_change": _drift(
        "architecture pairing role method measure n patients mean low high", when="lesions"
    ),
    "validity": _drift(
        f"architecture pairing role method metric relation {_CORRELATION}", when="lesions"
    ),
    "lesion_gain": _drift(_GAINS, when="lesions", published=False),
    "shortcut": _drift(_GAINS, when="shortcut"),
    "correction": _drift(
        "architecture role method measure kind removed kept difference low high n patients finding",
        when="shortcut",
    ),
    "marker_use": _drift(
        "architecture stage marker films patients shown altered difference low high",
        when="shortcut",
    ),
    "retained": _hypotheses(f"{_OF_MAPS} metric {_RESULT}"),
    "contrasts": _hypotheses(
        f"{_OF_MAPS} metric contrast {' '.join(ESTIMATE)} p_value {' '.join(COUNTS)}"
    ),
    "supports": _hypotheses(f"support {_OF_MAPS} metric {_RESULT}"),
    "decomposition": _hypotheses(f"{_OF_MAPS} part {_RESULT}"),
    "head_and_features": _hypotheses(f"{_OF_MAPS} part {_RESULT}"),
    "partial_agreement": _hypotheses(f"{_OF_MAPS} measure {_RESULT}"),
    "crossover": _hypotheses(
        f"metric first second role method_a method_b {_EFFECTS} p_cross p_ruled_out margin "
        "seed_level films pairs blank undefined problem p_cross_adjusted p_ruled_out_adjusted "
        "answer"
    ),
    "ranks": _hypotheses("method role architecture rank probability resamples seeds"),
    "agreement": _hypotheses(
        "method_a method_b role tau probability resamples observed architectures"
    ),
    "priors": _hypotheses("grid prior metric mean sd se pairs exact"),
    "paper": _hypotheses("claim published measured holds differs"),
    "sensitivity": _written_in("A2_sensitivity")(
        "role method n blank order largest_change tau", when="asked", open=True
    ),
    "randomisation": _written_in("A5_randomised_weights")(
        f"{_OF_MAPS} step metric n blank mean low high excess excess_low excess_high entropy_rise "
        "finding",
        when="asked",
    ),
    "remedies": _remedies(
        "trial kind probe films balanced_accuracy sd chance change", when="asked"
    ),
    "remedies_drift": _remedies(
        "architecture role method pairing before after change n_before n_after blank_before "
        "blank_after",
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
