"""The kinds of report: what each reads, shows and says first; `lib.report.page` builds them all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from lib.report import words
from lib.report.tables import MADE, MAKERS, Table, study_tables

QUESTION = "Does fine-tuning change why a chest X-ray classifier decides?"


@dataclass(frozen=True)
class Kind:
    """A kind of report; all kinds have the same pages, built by `lib.report.page.write`."""

    page: str  # template of the first page
    films: str  # what films are called: "test films"
    floor: str  # where R is 1: "placebo"
    findings: str  # JSON file with ``findings`` (``severity``, ``text``), in the study's folder
    read: tuple[str, ...]  # tables, without ending
    figures: Mapping[str, str]  # with their captions, from anywhere below the study's figures
    tables: Callable[[Mapping[str, pd.DataFrame]], dict[str, Table]]  # those that are shown
    # Of tables and verdicts (or None), the sentences of the first screen.
    answer: Callable[[Mapping[str, pd.DataFrame], Mapping | None], list[str]]
    # Of tables, verdicts, parameters and findings, the sentences before those.
    first: Callable[..., list[str]] | None = None


STUDY = Kind(
    page="index.html.j2",
    films="test films",
    floor="placebo",
    findings="data/audit.json",
    read=(*(name for name in MAKERS if name not in MADE), "transitions", "evidence"),
    figures={
        "moved": "How far the maps moved between training the head alone and other patients’ "
        "films, with 95 % intervals.",
        "answer": "Overlap of the strongest cells at the pooled map between placebo and ceiling.",
        "performance": "Macro AUC of every checkpoint on the test films.",
        "learning_curves": "Learning curves: dashed training, solid validation, marks at kept "
        "epochs.",
        "confusions": "True (rows) and predicted classes before and after fine-tuning.",
        "controls": "Overlap of the strongest cells between placebo and ceiling, by layer and "
        "method.",
        "faithfulness": "Do the maps tell what the prediction rests on, more than random maps do?",
        "head_and_features": "What of the drift came with the head, and what with the features.",
        "metric_agreement": "Do the metrics agree on which films drifted most?",
        "drift_distributions": "The overlap film by film.",
        "retained": "Retained evidence with intervals: 1 is the placebo, 0 maps of unrelated "
        "films.",
        "decomposition": "What drift is made of: what the placebo moves, what all seeds share, "
        "what each seed adds, and what is left up to unrelated films.",
        "trajectory": "Drift, evidence in the lesion, accuracy and blank maps by epoch of one "
        "fine-tuning.",
        "transitions": "Maps that were there before and after, vanished, appeared, or were blank.",
        "ranking": "Which architecture is most stable, by layer and method.",
        "interaction": "Differences between architectures by method: does the ranking reverse?",
        "reversals": "Does the ranking reverse with the method? Every two networks under every two "
        "methods, by layer and metric, as one family of tests: reverses, ruled out, "
        "inconclusive or undefined, with the error of all of them together kept (Holm).",
        "ranks": "How often each rank comes out again with other films and seeds.",
        "evidence_levels": "Share of the maps that lies on the lesion, by stage.",
        "drift_against_evidence": "Drift against the change of the share on the lesion.",
        "sensitivity": "Drift by reading of the maps.",
    },
    tables=study_tables,
    answer=words.answer,
    first=words.first,
)
