"""Verdicts on the hypotheses: supported, not supported or inconclusive, with their numbers.

The rules are those of ``params/hypotheses.yml``; the families of tests are tables of `families`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from lib.hypotheses.families import crossing_table, excess_table, identity_table
from lib.hypotheses.observations import Observations
from lib.hypotheses.stated import (
    Blindness,
    Excess,
    Gain,
    Hypotheses,
    Hypothesis,
    Identity,
    Reversal,
)
from lib.study.names import label

SUPPORTED, REFUTED, OPEN = "supported", "not supported", "inconclusive"
NOT_EVALUATED = "not evaluated"


@dataclass(frozen=True)
class Verdict:
    """Answer to one hypothesis.

    Attributes
    ----------
    verdict : str
        "supported", "not supported" or "inconclusive"; "not evaluated" only where the experiment
        of the hypothesis is not part of the study.
    sentence : str
        In plain language, with the numbers that decide.
    reasons : tuple of str
        Why comparisons could not be judged.
    seed_level : str
        Whether the spread between seeds is part of the intervals.
    tables : dict of name to DataFrame
        The family of tests ("family") and what else the rule looks at.
    """

    name: str
    question: str
    verdict: str
    sentence: str
    reasons: tuple[str, ...] = ()
    seed_level: str = "not estimated"
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    def as_json(self) -> dict:
        """Plain JSON values; a number that does not exist is null, digits beyond six are cut."""
        tables = {
            name: [{key: _plain(value) for key, value in row.items()} for row in rows]
            for name, table in self.tables.items()
            for rows in [table.to_dict("records")]
        }
        return {
            "question": self.question,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "reasons": list(self.reasons),
            "seed_level": self.seed_level,
            **tables,
        }


def _plain(value):
    if isinstance(value, float):
        return float(f"{value:.6g}") if abs(value) < float("inf") else None  # also for NaN
    return value.item() if hasattr(value, "item") else value


def evaluate(
    hypotheses: Hypotheses,
    observed: Observations,
    *,
    grids: Mapping[str, int],
    priors: pd.DataFrame,
    shortcut: Observations | None = None,
) -> list[Verdict]:
    """Answer all hypotheses.

    Parameters
    ----------
    observed : Observations
        The pairs of the study.
    grids : mapping of architecture to int
        Side of the final map in cells, of the architectures of the study; those of a hypothesis
        that the study does not have are left out of its family.
    priors : DataFrame
        From `lib.drift.priors.prior_table`, for the grids of the study.
    shortcut : Observations, optional
        The pairs of the shortcut experiment, if it was run.

    Returns
    -------
    list of Verdict
        H1 to H5.
    """
    everything = {}
    for name in type(hypotheses).model_fields:
        hypothesis = getattr(hypotheses, name)
        kept = tuple(a for a in hypothesis.architectures if a in grids)
        everything[name] = hypothesis.model_copy(update={"architectures": kept})
    return [
        excess_verdict("H1", everything["H1"], observed),
        reversal_verdict("H2", everything["H2"], observed, grids),
        identity_verdict("H3", everything["H3"], observed, grids),
        blindness_verdict("H4", everything["H4"], observed, grids, priors),
        excess_verdict("H5", everything["H5"], shortcut),
    ]


def settle(shown, refuted) -> str:
    """Verdict on a claim about all cells: one refutes it, all must show it."""
    if any(refuted):
        return REFUTED
    return SUPPORTED if len(shown) and all(shown) else OPEN


def excess_verdict(name: str, hypothesis: Excess | Gain, observed: Observations | None) -> Verdict:
    """H1 and H5: a quantity of fine-tuning exceeds that of its controls in every cell."""
    if observed is None:
        why = "the study has no shortcut experiment (no tables/shortcut.csv)"
        sentence = f"{name} is {NOT_EVALUATED}: {why}."
        return Verdict(name, hypothesis.question, NOT_EVALUATED, sentence, (why,))
    if missing := _too_few(name, hypothesis, 1):
        return missing
    table = excess_table(observed, hypothesis, _comparisons(hypothesis))
    cells, above, below = _cells(table)
    verdict = settle(above, below)
    what = f"drift in {hypothesis.metric}"
    what = "gain of evidence in the lesion" if isinstance(hypothesis, Gain) else what
    if verdict == SUPPORTED:
        text = f"in all {cells} cells the {what} exceeds {controls(table)}; the least "
        text += f"certain difference is {comparison(_weakest(table, 'above'), 'above')}"
    elif verdict == REFUTED:
        text = f"in {sum(below)} of {cells} cells the {what} exceeds a control by less than the "
        text += "margin, if at all; the clearest difference is "
        text += comparison(_clearest(table, "below"), "below")
    else:
        text = f"in {sum(above)} of {cells} cells the {what} is shown to exceed {controls(table)}, "
        text += "and no cell refutes it"
    return _verdict(name, hypothesis, verdict, text, table)


def blindness_verdict(
    name: str,
    hypothesis: Blindness,
    observed: Observations,
    grids: Mapping[str, int],
    priors: pd.DataFrame,
) -> Verdict:
    """H4: a distance between a film's own maps is no smaller than between unrelated ones."""
    if missing := _too_few(name, hypothesis, 1):
        return missing
    metric, role = hypothesis.metric, hypothesis.role
    chosen = (priors["prior"] == "centre") & (priors["metric"] == metric)
    centre = priors[chosen].set_index("grid")["mean"]
    comparisons = {
        "ceiling": lambda a, m: ({(a, m, role, "ceiling"): 1, (a, m, role, "finetune"): -1}, 0.0),
        "prior": lambda a, m: ({(a, m, role, "finetune"): -1}, float(centre[grids[a]])),
    }
    table = excess_table(observed, hypothesis, comparisons, beyond_margin=True)
    cells, above, below = _cells(table)
    verdict = settle(below, above)
    if verdict == SUPPORTED:
        text = f"in all {cells} cells the centroid shifts no less, but for the margin, than in "
        text += "maps of unrelated films or in maps that share nothing but the centre; nearest to "
        text += "telling them apart is a reference less the shift of "
        text += comparison(_weakest(table, "below"), "below")
    elif verdict == REFUTED:
        text = f"in {sum(above)} of {cells} cells the centroid shifts less than between maps of "
        text += "unrelated films and between maps that share nothing but the centre, by "
        text += comparison(_clearest(table, "above"), "above")
    else:
        text = f"in {sum(below)} of {cells} cells the shift of the centroid does not tell a film's "
        text += "own maps from unrelated ones, and in no cell it is shown to"
    return _verdict(name, hypothesis, verdict, text, table)


def reversal_verdict(
    name: str, hypothesis: Reversal, observed: Observations, grids: Mapping[str, int]
) -> Verdict:
    """H2: the difference of two architectures changes its sign with the method, in some pair."""
    if missing := _too_few(name, hypothesis, 2):
        return missing
    table = crossing_table(observed, hypothesis, grids)
    crossing, excluded = table["crosses"].sum(), table["ruled_out"].sum()
    if crossing:
        verdict, row = SUPPORTED, table.loc[table["p_cross_adjusted"].idxmin()]
        text = f"{crossing} of {len(table)} pairs of architectures change their order with the "
        text += f"method; in {hypothesis.metric}, clearest {effects(row, row['p_cross_adjusted'])}"
    elif excluded == len(table):
        verdict, row = REFUTED, table.loc[table["p_ruled_out"].idxmax()]
        text = f"a reversal beyond the margin is ruled out in all {len(table)} pairs of "
        text += f"architectures; in {hypothesis.metric}, nearest to one "
        text += effects(row, row["p_ruled_out_adjusted"])
    else:
        verdict = OPEN
        text = f"no pair of {len(table)} is shown to change its order with the method, and only in "
        text += f"{excluded} a reversal beyond the margin is ruled out"
    return _verdict(name, hypothesis, verdict, text, table)


def identity_verdict(
    name: str, hypothesis: Identity, observed: Observations, grids: Mapping[str, int]
) -> Verdict:
    """H3: two methods agree film by film, so architecture and method do not interact."""
    if missing := _too_few(name, hypothesis, 2):
        return missing
    table, exact = crossing_table(observed, hypothesis, grids), identity_table(observed, hypothesis)
    broken = exact["exceeding"] + exact["blank_in_one"] > 0
    shown, refuted = [*table["same"], *(exact["pairs"] > 0)], [*table["different"], *broken]
    pairs = exact["pairs"].sum()
    text = f"the methods were compared on {pairs} pairs of maps"
    if exact["largest"].notna().any():
        text += f" and differ by at most {exact['largest'].max():.2g} in {hypothesis.exact_metric} "
        text += f"({exact['exceeding'].sum()} beyond the tolerance {hypothesis.tolerance:g})"
    if exact["blank_in_one"].any():
        text += f"; {exact['blank_in_one'].sum()} are blank under one method only"
    if table["interaction"].notna().any():
        row = table.loc[table["interaction"].abs().idxmax()]
        text += f"; the largest interaction in {hypothesis.metric} is "
        text += f"{interval(row, 'interaction')}, margin {row['margin']:g}, between "
        text += f"{label(row['first'])} and {label(row['second'])}"
    return _verdict(name, hypothesis, settle(shown, refuted), text, table, exact=exact)


def _comparisons(hypothesis: Excess | Gain) -> dict:
    role = hypothesis.role
    if isinstance(hypothesis, Gain):
        removed, kept = "shortcut_removed", "shortcut_kept"
        return {
            "before": lambda a, m: ({(a, m, role, removed): 1}, 0.0),
            kept: lambda a, m: ({(a, m, role, removed): 1, (a, m, role, kept): -1}, 0.0),
        }
    sign = 1 if hypothesis.similarity else -1  # more drift is less similarity

    def over(control):
        return lambda a, m: ({(a, m, role, control): sign, (a, m, role, "finetune"): -sign}, 0.0)

    return {control: over(control) for control in hypothesis.controls}


def _too_few(name: str, hypothesis: Hypothesis, least: int) -> Verdict | None:
    found = len(hypothesis.architectures)
    if found >= least:
        return None
    why = f"the study has {found} of its architectures, at least {least} are needed"
    return Verdict(name, hypothesis.question, OPEN, f"{name} is {OPEN}: {why}.", (why,))


def _cells(table: pd.DataFrame) -> tuple[int, pd.Series, pd.Series]:
    cells = table.drop_duplicates(["architecture", "method"])
    return len(cells), cells["above"], cells["below"]


def _decisive(table: pd.DataFrame, side: str) -> pd.DataFrame:
    """In each cell of that side the comparison on which it hangs."""
    rows = table[table[side]].dropna(subset=f"p_{side}")
    cells = rows.groupby(["architecture", "method"], sort=False)[f"p_{side}"]
    return rows.loc[cells.idxmax() if side == "above" else cells.idxmin()]


def _weakest(table: pd.DataFrame, side: str) -> pd.Series:
    rows = _decisive(table, side)
    return rows.loc[rows[f"p_{side}"].idxmax()]


def _clearest(table: pd.DataFrame, side: str) -> pd.Series:
    rows = _decisive(table, side)
    return rows.loc[rows[f"p_{side}"].idxmin()]


def _verdict(name, hypothesis, verdict, text, table, **others) -> Verdict:
    problems = [reason for found in table["problem"] for reason in found.split("; ") if reason]
    reasons = tuple(dict.fromkeys(problems))
    usable = table[table["problem"] == ""]
    seed_level = "; ".join((usable if len(usable) else table)["seed_level"].unique())
    if verdict == OPEN and usable.empty:
        text = ""
    facts = {"seed_level": seed_level, "level": hypothesis.level}
    sentence = whole(name, verdict, text, reasons, **facts)
    tables = {"family": table, **others}
    return Verdict(name, hypothesis.question, verdict, sentence, reasons, seed_level, tables)


CONTROL = {
    "placebo": "the placebo",
    "finetune_seeds": "the seed floor",
    "ceiling": "maps of unrelated films",
    "prior": "the centre prior",
    "before": "0",
    "shortcut_kept": "the runs that kept the shortcut",
}


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


def controls(table: pd.DataFrame) -> str:
    """The controls of a family: "the placebo and the seed floor"."""
    return " and ".join(CONTROL[name] for name in table["comparison"].unique())


def comparison(row: pd.Series, side: str) -> str:
    """A row of `families.excess_table` with what decides on its side, "above" or "below"."""
    margin = f", margin {row['margin']:.3f}" if side == "below" else ""
    return (
        f"{interval(row)} against {CONTROL[row['comparison']]} in "
        f"{label(row['architecture'], row['method'])} (adjusted "
        f"{p_text(row[f'p_{side}_adjusted'])}{margin})"
    )


def effects(row: pd.Series, p_value: float) -> str:
    """A row of `lib.hypotheses.families.crossing_table`: the two simple effects."""
    parts = " and ".join(
        f"{interval(row, f'effect_{side}')} with {label('', row[f'method_{side}'])}"
        for side in "ab"
    )
    return (
        f"{label(row['first'])} less {label(row['second'])}: {parts} (adjusted {p_text(p_value)}, "
        f"margin {row['margin']:.3f})"
    )


def whole(
    name: str,
    verdict: str,
    text: str,
    reasons: tuple[str, ...],
    *,
    seed_level: str,
    level: float,
) -> str:
    """The sentence: verdict, what decides, why not more, and what the intervals are of.

    Without a `text` nothing could be judged.
    """
    more = f" (and {len(reasons) - 1} more in verdicts.json)" if len(reasons) > 1 else ""
    because = f"not judged: {reasons[0]}{more}" if reasons else ""
    intervals = f"intervals: {100 * level:g} %" if text else ""
    seeds = ""
    if "not estimated" in seed_level:
        seeds = "seed level not estimated, so nothing is said about other seeds"
    parts = (text or "no comparison can be judged", because, intervals, seeds)
    return f"{name} is {verdict}: {'; '.join(part for part in parts if part)}."
