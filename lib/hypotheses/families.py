"""Decision rules: from estimates to cells that show a hypothesis, refute it, or leave it open.

Every rule returns a table of its family with p-values adjusted by Holm (1979) over the family;
tests that cannot be made count in it. Two constructions occur throughout. *All of several claims*:
the largest p-value (intersection-union test, Berger 1982). *One of two claims*: twice the smaller
p-value (Bonferroni).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations, product

import pandas as pd

from lib.hypotheses.observations import Name, Observations
from lib.hypotheses.stated import Hypothesis, Identity, Reversal
from lib.inference.contrasts import Estimate
from lib.inference.decisions import crossover, equivalence, holm
from lib.study.names import label

Coefficients = dict[Name, float]


def excess_table(
    observed: Observations,
    hypothesis: Hypothesis,
    comparisons: Mapping[str, Callable[[str, str], tuple[Coefficients, float]]],
    *,
    beyond_margin: bool = False,
) -> pd.DataFrame:
    """Test in each cell whether all differences exceed 0 (or the margin), or one lies below it.

    Parameters
    ----------
    hypothesis : Hypothesis
        Cells are its architectures × methods at its role.
    comparisons : mapping of name to function
        From architecture and method to the coefficients of the difference and a known constant that
        is added to it.
    beyond_margin : bool
        Whether "above" means above the margin instead of above 0.

    Returns
    -------
    DataFrame
        A row per cell and comparison: ``estimate``, ``low``, ``high``, ``df``, ``p_above``,
        ``p_below`` (one-sided), ``margin``, ``margin_origin``, ``seed_level``, ``films``,
        ``pairs``, ``blank``, ``problem``; by cell ``p_above_adjusted``, ``p_below_adjusted``
        and ``above``, ``below`` (bool, never both).
    """
    rows = []
    for architecture, method in product(hypothesis.architectures, hypothesis.methods):
        for comparison, of in comparisons.items():
            coefficients, constant = of(architecture, method)
            problem = observed.problem(hypothesis.metric, list(coefficients), hypothesis.minimum)
            margin, origin = observed.margin(hypothesis, list(coefficients))
            found = observed.estimate(hypothesis.metric, coefficients)
            found = replace(found, estimate=found.estimate + constant)
            above = found.p_value("greater", null=margin if beyond_margin else 0)
            below = found.p_value("less", null=margin)
            rows.append(
                {"architecture": architecture, "method": method, "role": hypothesis.role,
                 "comparison": comparison, **numbers(found, hypothesis.level),
                 "p_above": judged(above, problem), "p_below": judged(below, problem),
                 "margin": margin, "margin_origin": origin, "seed_level": found.seed_level,
                 **_sizes(observed.counts(hypothesis.metric, *coefficients)), "problem": problem}
            )  # fmt: skip
    table = pd.DataFrame(rows)
    cells = table.groupby(["architecture", "method"], sort=False)
    count = len(comparisons)
    above = cells["p_above"].agg(lambda p: p.max(skipna=False))
    below = cells["p_below"].agg(lambda p: min(count * p.min(), 1))
    keys = pd.MultiIndex.from_frame(table[["architecture", "method"]])
    for name, p_values in (("p_above_adjusted", above), ("p_below_adjusted", below)):
        adjusted = pd.Series(holm(p_values.to_numpy(float)), index=p_values.index)
        table[name] = adjusted.reindex(keys).to_numpy()
    table["above"] = table["p_above_adjusted"] <= hypothesis.alpha
    table["below"] = (table["p_below_adjusted"] <= hypothesis.alpha) & ~table["above"]
    return table


def crossing_table(
    observed: Observations,
    hypothesis: Reversal,
    grids: Mapping[str, int],
    *,
    role: str | None = None,
) -> pd.DataFrame:
    """Test for each pair of architectures whether their difference reverses between two methods.

    Effects are differences in stability, the first architecture less the second, by method; the
    interaction is the first method's effect less the second's.

    Parameters
    ----------
    grids : mapping of architecture to int
        Side of the final map in cells; architectures on unequal grids are not compared.
    role : str, optional
        Instead of the role of the hypothesis.

    Returns
    -------
    DataFrame
        A row per pair: ``first``, ``second``, ``role``, ``method_a``, ``method_b``; estimates and
        intervals of ``effect_a``, ``effect_b`` and ``interaction`` (suffixes ``_low``, ``_high``);
        ``p_cross``, ``p_ruled_out`` (a reversal with both effects beyond the margin), ``p_same``
        (the interaction is inside the margin), ``p_different`` (it is beyond), each with its
        ``…_adjusted``; ``crosses``, ``ruled_out``, ``same``, ``different`` (bool); ``margin``,
        ``margin_origin``, ``seed_level``, ``films``, ``pairs``, ``blank``, ``problem``.
    """
    role = role or hypothesis.role
    rows = [
        _crossing(observed, hypothesis, first, second, role, grids)
        for first, second in combinations(hypothesis.architectures, 2)
    ]
    table = pd.DataFrame(rows)
    for name in ("p_cross", "p_ruled_out", "p_same", "p_different"):
        table[f"{name}_adjusted"] = holm(table[name].to_numpy(float))
    alpha = hypothesis.alpha
    table["crosses"] = table.pop("opposite") & (table["p_cross_adjusted"] <= alpha)
    table["ruled_out"] = (table["p_ruled_out_adjusted"] <= alpha) & ~table["crosses"]
    table["same"] = table["p_same_adjusted"] <= alpha
    table["different"] = table["p_different_adjusted"] <= alpha
    return table


def _crossing(
    observed: Observations,
    hypothesis: Reversal,
    first: str,
    second: str,
    role: str,
    grids: Mapping[str, int],
) -> dict:
    sign = 1.0 if hypothesis.similarity else -1.0
    effects, everything = [], {}
    for method, weight in zip(hypothesis.methods, (1, -1), strict=True):
        ours, theirs = ((a, method, role, "finetune") for a in (first, second))
        effects.append(observed.estimate(hypothesis.metric, {ours: sign, theirs: -sign}))
        everything |= {ours: sign * weight, theirs: -sign * weight}
    interaction = observed.estimate(hypothesis.metric, everything)
    problem = observed.problem(hypothesis.metric, list(everything), hypothesis.minimum)
    sides = [grids.get(first), grids.get(second)]
    if not problem and (None in sides or len(set(sides)) > 1):
        known = "not known to be equal" if None in sides else f"{sides[0]} and {sides[1]} cells"
        problem = f"{label(first)} and {label(second)} at {role}: grids are {known}"
    margin, origin = observed.margin(hypothesis, list(everything))
    found = crossover(*effects, level=hypothesis.level)
    # Two ways to reverse by more than the margin; each is refuted through either of its effects.
    ways = [
        2 * min(a.p_value("less", null=margin), b.p_value("greater", null=-margin))
        for a, b in (effects, effects[::-1])
    ]
    beyond = [
        interaction.p_value("greater", null=margin),
        interaction.p_value("less", null=-margin),
    ]
    tests = {
        "p_cross": found.p_value,
        "p_ruled_out": min(max(ways), 1),
        "p_same": equivalence(interaction, margin=margin, alpha=hypothesis.alpha).p_value,
        "p_different": min(2 * min(beyond), 1),
    }
    return {
        "first": first, "second": second, "role": role,
        "method_a": hypothesis.methods[0], "method_b": hypothesis.methods[1],
        **numbers(effects[0], hypothesis.level, "effect_a"),
        **numbers(effects[1], hypothesis.level, "effect_b"),
        **numbers(interaction, hypothesis.level, "interaction"),
        **{name: judged(p_value, problem) for name, p_value in tests.items()},
        "opposite": bool(found.supported) and not problem,
        "margin": margin, "margin_origin": origin, "seed_level": interaction.seed_level,
        **_sizes(observed.counts(hypothesis.metric, *everything)), "problem": problem,
    }  # fmt: skip


def identity_table(observed: Observations, hypothesis: Identity) -> pd.DataFrame:
    """Film by film: the largest difference between two methods in a metric without ties.

    Returns
    -------
    DataFrame
        A row per architecture, over the pairings transfer → fine-tuned of the common support:
        ``pairs`` (with a value under both), ``largest`` (absolute difference, NaN without a pair),
        ``exceeding`` (pairs above the tolerance), ``blank_in_one`` (pairs that only one method
        leaves blank), ``ties`` (pairs whose primary metric differs).
    """
    rows = observed.pairs[
        (observed.pairs["pairing"] == "finetune") & (observed.pairs["role"] == hypothesis.role)
    ]
    metrics, found = [hypothesis.exact_metric, hypothesis.metric], []
    for architecture in hypothesis.architectures:
        own = rows[rows["architecture"] == architecture]
        first, second = (
            own[own["method"] == method].set_index(["before", "after", "image_id"])[metrics]
            for method in hypothesis.methods
        )
        first, second = first.align(second)
        exact, primary = (first[metric] - second[metric] for metric in metrics)
        one_blank = first[metrics[0]].isna() != second[metrics[0]].isna()
        found.append(
            {"architecture": architecture, "pairs": int(exact.notna().sum()),
             "largest": exact.abs().max(),
             "exceeding": int((exact.abs() > hypothesis.tolerance).sum()),
             "blank_in_one": int(one_blank.sum()),
             "ties": int((primary.abs() > hypothesis.tolerance).sum())}
        )  # fmt: skip
    return pd.DataFrame(found)


def numbers(found: Estimate, level: float, name: str = "estimate") -> dict[str, float]:
    """Estimate with the ends of its interval and degrees of freedom, for a table."""
    low, high = found.interval(level)
    prefix = "" if name == "estimate" else f"{name}_"
    parts = {name: found.estimate, f"{prefix}low": low, f"{prefix}high": high}
    return {key: float(value) for key, value in (parts | {f"{prefix}df": found.df}).items()}


def judged(p_value: float, problem: str) -> float:
    """A p-value, or NaN where the comparison must not be judged."""
    return float("nan") if problem else float(p_value)


def _sizes(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: counts[name] for name in ("films", "pairs", "blank")}
