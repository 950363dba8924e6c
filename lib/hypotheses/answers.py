"""What the answer to a hypothesis is, and how its numbers are written in a sentence."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from lib.study.names import label

SUPPORTED, REFUTED, OPEN = "supported", "not supported", "inconclusive"
UNDEFINED = "undefined"
NOT_EVALUATED = "not evaluated"
VERDICTS = (SUPPORTED, REFUTED, UNDEFINED, OPEN, NOT_EVALUATED)
BLANK_SHARE = 0.2
"""Of the pairs, as in every rule: a method that is blank for more of them is undefined there."""


@dataclass(frozen=True)
class Verdict:
    """Answer to one hypothesis.

    Attributes
    ----------
    verdict : str
        One of `VERDICTS`; "undefined" where no cell has maps enough, "not evaluated" only where
        what the hypothesis needs is not part of the study.
    sentence : str
        In plain language, with the numbers that decide.
    reasons : tuple of str
        Why cells could not be judged, or have no maps.
    seed_level : str
        Whether the spread between seeds is part of the intervals.
    tables : dict of name to DataFrame
        The family of tests ("family") and what else the rule looks at.
    without : dict of seed to verdict
        Without each seed in turn; empty below four seeds.
    """

    name: str
    question: str
    verdict: str
    sentence: str
    reasons: tuple[str, ...] = ()
    seed_level: str = "not estimated"
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    without: dict[int, str] = field(default_factory=dict)

    def as_json(self) -> dict:
        """Plain JSON values; a number that does not exist is null, digits beyond six are cut."""
        tables = {
            name: [
                {key: _plain(value) for key, value in row.items()}
                for row in table.to_dict("records")
            ]
            for name, table in self.tables.items()
        }
        return {
            "question": self.question,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "reasons": list(self.reasons),
            "seed_level": self.seed_level,
            "without_seed": {str(seed): verdict for seed, verdict in self.without.items()},
            **tables,
        }


def _plain(value):
    if isinstance(value, float):
        return float(f"{value:.6g}") if abs(value) < float("inf") else None  # also for NaN
    return value.item() if hasattr(value, "item") else value


def without_seeds(answers: Mapping[str, Mapping]) -> str:
    """How many verdicts stay as they are without each seed in turn, as a sentence.

    `answers` are as `Verdict.as_json`; "" for studies that were judged before this was asked.
    """
    if not any("without_seed" in answer for answer in answers.values()):
        return ""
    asked = {name: found for name, a in answers.items() if (found := a.get("without_seed"))}
    if not asked:
        return "With fewer than four seeds no verdict was reached anew without one of them."
    parts, same = [], 0
    for name, found in asked.items():
        verdict = answers[name]["verdict"]
        others = [f"{v} without seed {seed}" for seed, v in found.items() if v != verdict]
        kept, told = len(found) - len(others), f" ({', '.join(others)})" if others else ""
        parts.append(f"{name} {kept} of {len(found)}{told}")
        same += kept
    count = sum(map(len, asked.values()))
    return (
        f"Reached anew without each seed in turn, {same} of {count} verdicts are the same: "
        f"{'; '.join(parts)}."
    )


def p_text(value: float) -> str:
    """A p-value as it is written in a sentence."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def interval(row: pd.Series, name: str = "estimate") -> str:
    """An estimate with its interval."""
    prefix = "" if name == "estimate" else f"{name}_"
    value, low, high = (
        f"{row[key]:.3f}".replace("-0.000", "0.000")
        for key in (name, prefix + "low", prefix + "high")
    )
    return f"{value} ({low} to {high})"


def effects(row: pd.Series, p_value: float) -> str:
    """A row of `lib.hypotheses.families.crossing_table`: the two simple effects."""
    parts = " and ".join(
        f"{interval(row, f'effect_{side}')} with {label('', row[f'method_{side}'])}"
        for side in "ab"
    )
    return (
        f"{label(row['first'])} less {label(row['second'])}: {parts} ({p_text(p_value)}, "
        f"margin {row['margin']:.3f})"
    )
