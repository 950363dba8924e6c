"""Numbers in words: the parts of a verdict's sentence, each made from a row of a table."""

import pandas as pd

from lib.hypotheses.observations import label

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
