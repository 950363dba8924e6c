"""What a report of an audit says in words: whether the evidence moved, and how that is known."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lib.checkpoint_audit import rule as rules
from lib.checkpoint_audit.findings import primary_cell
from lib.checkpoint_audit.questions import CHECKPOINTS
from lib.evidence import faithfulness
from lib.report.digest import PRIMARY, drift_means
from lib.report.phrases import listed, number, span
from lib.study import names

_LISTED = 3  # criteria of a verdict that the first screen names; the table has all
_WIDE = 3  # steps of `MOVED` from one end of an interval to the other that say too little
_CONTROLS = {
    "explainer": "{} where the same checkpoint is explained twice",
    "ceiling": "{} between maps of different patients' films",
    "randomised": "{} where the weights are permuted",
}
QUESTION = "Did the evidence of this model move?"
MOVED = (
    (1.0, "none", "Not as far as can be seen"),
    (0.8, "little", "Hardly"),
    (0.5, "some", "In part"),
    (0.2, "most", "Yes"),
    (-np.inf, "nearly all", "Yes"),
)
"""Retained evidence R from which on so much has moved, and the answer where at least that has."""


def words_of_scale() -> str:
    """What the words for R mean, in one sentence."""
    parts = [f"{amount} from {bound:g}" for bound, amount, _ in MOVED[1:-1]]
    (most, none, _), (_, rest, _) = MOVED[0], MOVED[-1]
    start = f"Of the evidence moved: {none} at R of {most:g} or more"
    return f"{start}, {', '.join(parts)}, {rest} below."


def moved_sentence(retained: pd.DataFrame | None, cell: tuple[str, str]) -> str:
    """Whether the evidence moved, by where the interval of R lies; "" where R is not known."""
    if retained is None:
        return ""
    row = retained.set_index(["metric", "role", "method"]).loc[(PRIMARY, *cell)]
    value, *ends = (float(row[key]) for key in ("estimate", "low", "high"))
    if not np.isfinite(value):
        return ""
    share = f"evidence R is {number(value)}"
    if min(value, ends[0]) >= 1:
        return f"No: retained {share}, where 1 is the same checkpoint explained twice."
    if not np.isfinite(ends).all():
        return f"It cannot be told: retained {share}, and the interval has no end."
    most, least = (
        next(place for place, (bound, *_) in enumerate(MOVED) if end >= bound) for end in ends
    )
    said = MOVED[least][2] if most - least < _WIDE else "It cannot be told"
    amount = " to ".join(dict.fromkeys((MOVED[least][1], MOVED[most][1])))
    return (
        f"{said}: {amount} of it moved. Retained {share} (95\u00a0% interval over patients "
        f"{span(pd.Series(ends))}), where 1 is the same checkpoint explained twice and 0 are maps "
        "of unrelated films."
    )


def rule_sentence(judged: pd.DataFrame | None) -> str:
    """Verdict by the rule, and the criteria that are not passed; "" without a rule."""
    if judged is None:
        return ""
    sentences = [f"By the rule that was stated beforehand: {rules.verdict(judged)}"]
    for verdict in (rules.FAILED, rules.OPEN):
        rows = [row for _, row in judged[judged["verdict"] == verdict].iterrows()]
        parts = [f"{rules.words(row)}, found {rules.found(row)}" for row in rows[:_LISTED]]
        if more := len(rows) - len(parts):
            parts.append(f"{more} more")
        if parts:
            sentences.append(f"{verdict.capitalize()}: {'; '.join(parts)}")
    return ". ".join(sentences) + "."


def overlap_sentence(drift: pd.DataFrame, support: pd.DataFrame, cell: tuple[str, str]) -> str:
    """Overlap of the strongest cells at a role and method, with the controls beside it."""
    films, common = int(support["films"].sum()), int(support["common"].sum())
    where = f"On the {common} of {films} films that both checkpoints classify correctly"
    means = drift_means(drift).droplevel("architecture")
    own = means.loc[cell].dropna()
    if "change" not in own:
        return f"{where} no two maps could be compared."
    text = f"{where}, the strongest 20\u00a0% of the cells of a film's two maps overlap by "
    text += f"{number(own['change'])} (1 = the same places)"
    parts = [words.format(number(own[name])) for name, words in _CONTROLS.items() if name in own]
    text += f", against {listed(parts)}" if parts else ""
    if "explainer" not in own:
        text += "; with the same checkpoint explained twice it was not measured"
    at = f"{names.METHOD_TITLES.get(cell[1], cell[1])} at {cell[0]}"
    return f"{text}. That is {at}; over all layers and methods it is {span(means['change'])}."


def lesion_sentence(lesion: pd.DataFrame | None, cell: tuple[str, str]) -> str:
    """Evidence in the lesion before and after, beside its area; "" where no lesion is known."""
    if lesion is None or lesion.empty:
        return ""
    row = lesion.set_index(["measure", "role", "method"]).loc[("lesion_mass", *cell)]
    if not row["films"]:
        return ""
    text = f"On the {int(row['films'])} films whose lesion is known, the lesion holds "
    text += f"{number(row['before'])} of a map before and {number(row['after'])} after"
    if np.isfinite([row["low"], row["high"]]).all():
        interval = span(pd.Series([row["low"], row["high"]]))
        text += f" (change {number(row['change'])}, 95\u00a0% interval {interval})"
    return f"{text}; a map that is the same everywhere has {number(row['area'])} there."


def faithfulness_sentence(faithful: pd.DataFrame | None) -> str:
    """Which maps do not tell what the prediction rests on; "" where they were not asked."""
    if faithful is None or faithful.empty:
        return ""
    films = faithful["films"].max()
    return f"Asked on {films} films: {' '.join(faithfulness.sentences(faithful))}"


def accuracy_sentence(performance: pd.DataFrame) -> str:
    """How accuracy and macro AUC changed."""
    rows = performance.set_index("checkpoint").loc[list(CHECKPOINTS)]
    parts = [
        f"{title} is {number(rows[key].iloc[0])} before and {number(rows[key].iloc[1])} after"
        for key, title in (("accuracy", "accuracy"), ("macro_auc", "macro AUC"))
        if np.isfinite(rows[key]).all()
    ]
    return f"On {int(rows['n'].iloc[0])} films {listed(parts)}." if parts else ""


def answer(tables: Mapping[str, pd.DataFrame], verdicts: Mapping | None = None) -> list[str]:
    """The sentences of the first screen; an audit has no verdicts."""
    cell = primary_cell(tables["drift"])
    sentences = (
        rule_sentence(tables.get("rule")),
        moved_sentence(tables.get("retained"), cell),
        overlap_sentence(tables["drift"], tables["support"], cell),
        faithfulness_sentence(tables.get("faithfulness")),
        lesion_sentence(tables.get("lesion"), cell),
        accuracy_sentence(tables["performance"]),
    )
    return [sentence for sentence in sentences if sentence]
