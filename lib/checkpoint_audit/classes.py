"""Whether the outputs of a classifier stand for the classes that one thinks they stand for."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.special import softmax
from scipy.stats import binomtest, mannwhitneyu

from lib.models.performance import confusion

_GAIN, LEVEL, CHANCE = 0.1, 0.01, 0.05


@dataclass(frozen=True)
class Mapping:
    """How well outputs fit classes, as they are ordered and as they would fit best.

    ``p_chance`` is the one-sided p-value (binomial) that the accuracy is no better than always
    naming the most frequent class. ``permuted`` says whether the best order is better by at least
    0.1 and no accident: better than chance even after correction for the number of orders that were
    tried. ``at_chance`` has the area under the ROC curve of each class that is told from the others
    no better than by chance (one-sided Mann-Whitney test of its probability, p above 0.05).
    """

    accuracy: float
    best_accuracy: float
    p_chance: float
    best_order: tuple[str, ...]
    permuted: bool
    at_chance: dict[str, float]


def check_mapping(logits: np.ndarray, labels: np.ndarray, *, classes: Sequence[str]) -> Mapping:
    """Compare the given order of classes with the best one (Kuhn 1955, the assignment problem)."""
    counts = confusion(logits, labels, classes=classes).to_numpy()
    films, right = int(counts.sum()), int(np.trace(counts))
    true, output = linear_sum_assignment(counts, maximize=True)
    best = int(counts[true, output].sum())
    chance = float(counts.sum(axis=1).max() / films)
    p_best = binomtest(best, films, chance, alternative="greater").pvalue
    return Mapping(
        accuracy=right / films,
        best_accuracy=best / films,
        p_chance=float(binomtest(right, films, chance, alternative="greater").pvalue),
        best_order=tuple(classes[number] for number in np.argsort(output)),
        permuted=bool((best - right) / films >= _GAIN and p_best * factorial(len(classes)) < LEVEL),
        at_chance=_at_chance(logits, labels, classes=classes),
    )


def _at_chance(logits, labels, *, classes: Sequence[str]) -> dict[str, float]:
    found, scores = {}, softmax(np.asarray(logits, np.float64), axis=1)
    for number, name in enumerate(classes):
        own, other = scores[labels == number, number], scores[labels != number, number]
        if len(own) and len(other):
            area, chance = told_apart(own, other)
            if chance > CHANCE:
                found[name] = float(area)
    return found


def told_apart(own: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """AUC of some scores against others, and how likely chance is (one-sided Mann-Whitney test)."""
    test = mannwhitneyu(own, other, alternative="greater")
    return test.statistic / (len(own) * len(other)), test.pvalue


def check_finding(logits: np.ndarray, labels: np.ndarray, *, classes: Sequence[str]) -> Mapping:
    """The same for a finding of a multi-label model, which its AUC alone judges.

    A rare finding is told no better by accuracy than by never naming it, however good the model.
    Classes are without the finding, and with it.
    """
    accuracy = float((np.argmax(logits, axis=1) == labels).mean())
    chance = _at_chance(logits, labels, classes=classes)
    chance.pop(classes[0], None)
    return Mapping(accuracy, accuracy, np.nan, tuple(classes), False, chance)


def require_outputs(
    outputs: int, returned: str, *, classes: Sequence[str], findings: Sequence[str]
) -> None:
    """Check that each of the logits has a class or a finding.

    Parameters
    ----------
    outputs : int
        Number of logits.
    returned : str
        What the model gave before its activation was taken off, such as "sigmoids".
    classes, findings : sequence of str
        Names of the classes; of the findings, empty for a model of classes.

    Raises
    ------
    ValueError
        If their numbers differ, or classes are named where findings are told, or the reverse; the
        message says what to do.
    """
    one_of = returned not in ("sigmoids", "logits")
    if findings and (one_of or outputs != len(findings)):
        way_out = "Name all findings in the order of the outputs, FINDINGS"
        if one_of:
            way_out = "They give a film one of several classes: name these, CLASSES"
        raise ValueError(
            f"FINDINGS: found {len(findings)} findings ({', '.join(findings)}), and models that "
            f'end in {returned}, which tell {outputs} things apart. {way_out}="first,second,…".'
        )
    if not findings and returned == "sigmoids":
        raise ValueError(
            f"the models end in {outputs} sigmoids, which are {outputs} questions: a film may have "
            'any of them. Name them in the order of the outputs, FINDINGS="first,second,…", and '
            "give films with all of their findings."
        )
    if not findings and outputs != len(classes):
        raise ValueError(
            f"the models tell {outputs} classes apart, the data have {len(classes)}: "
            f"{', '.join(classes)}. Name all classes in the order of the outputs, "
            'CLASSES="first,second,…"; films of every class are needed.'
        )


def mapping_table(mappings: dict[str, Mapping]) -> pd.DataFrame:
    """One row per checkpoint: accuracies, chance, and the best order where it is another."""
    rows = [
        [name, found.accuracy, found.p_chance, found.best_accuracy,
         ", ".join(found.best_order) if found.permuted else "as given"]
        for name, found in mappings.items()
    ]  # fmt: skip
    columns = ["checkpoint", "accuracy", "p_chance", "best_accuracy", "best_order"]
    return pd.DataFrame(rows, columns=columns)
