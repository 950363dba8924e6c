"""Does the ranking of architectures depend on the method? Every comparison, to look at.

The question of H2 for one pair of methods, layer and metric was stated beforehand, and
`lib.hypotheses.verdicts` alone answers it. Here stand all of them, with the error of the whole
family under control, and how sure each rank is.
"""

from collections.abc import Mapping
from itertools import combinations, product

import numpy as np
import pandas as pd

from lib.drift.metrics import SIMILARITIES
from lib.hypotheses.families import alpha_of, crossing_table
from lib.hypotheses.observations import Name, Observations
from lib.hypotheses.stated import Reversal
from lib.inference.bootstrap import bootstrap, rank_agreement, rank_probabilities
from lib.inference.crossed import CrossedCells
from lib.inference.decisions import holm
from lib.study.schema import TABLES

FINAL = ("auto_conv", "prev_conv", "post_activation")
"""Roles of the final stage: elsewhere the architectures' grids differ."""
METRICS = ("soft_iou", "iou_top20", "unit_distance")
ANSWERS = ("reverses", "ruled out", "open", "undefined", "identity")
CROSSOVER = (
    *("metric", "first", "second", "role", "method_a", "method_b", "effect_a", "effect_b"),
    *("p_cross_adjusted", "answer", "films", "problem"),
)
"""Columns of `crossover_table` to read; it has more."""


def crossover_table(
    observed: Observations, hypothesis: Reversal, grids: Mapping[str, int]
) -> pd.DataFrame:
    """Architecture × method effects of all pairs of methods, layers of the final stage and metrics.

    Parameters
    ----------
    observed : Observations
    hypothesis : Reversal
        H2: its architectures, margin and level hold for all rows, its metric comes first.
    grids : mapping of architecture to int
        Side of the final map in cells. Architectures without one are left out; those on unequal
        grids are not compared.

    Returns
    -------
    DataFrame
        ``metric`` and the columns of `lib.hypotheses.families.crossing_table`, with p-values
        adjusted by Holm over the whole table (``p_cross_adjusted``, ``p_ruled_out_adjusted``), and
        ``answer``, one of `ANSWERS`: a comparison whose two methods are the same map by algebra (at
        the pooled map) is an "identity", which cannot reverse and is no member of the family; a
        method without maps makes it "undefined".
    """
    roles, methods = (dict.fromkeys(name[part] for name in observed.names) for part in (2, 1))
    roles = tuple(role for role in roles if role in FINAL)
    kept = tuple(a for a in hypothesis.architectures if a in grids)
    if len(kept) < 2 or not roles or len(methods) < 2:
        return pd.DataFrame(columns=CROSSOVER)
    metrics = [m for m in dict.fromkeys((hypothesis.metric, *METRICS)) if m in observed.pairs]
    tables = []
    for metric, pair in product(metrics, combinations(methods, 2)):
        stated = set(pair) == set(hypothesis.methods)  # then in the order of the hypothesis
        chosen = {"metric": metric, "methods": hypothesis.methods if stated else pair}
        chosen |= {"roles": roles, "architectures": kept}
        found = crossing_table(observed, hypothesis.model_copy(update=chosen), grids)
        tables.append(found.assign(metric=metric))
    table = pd.concat(tables, ignore_index=True)
    alike = ("layercam", "gradcam_plus_plus")
    same = (table["role"] == "post_activation") & (
        table[["method_a", "method_b"]].isin(alike).all(axis=1)
    )
    alpha, _ = alpha_of(hypothesis, observed)
    counted = ~same & (table["undefined"] == "")
    for name in ("p_cross", "p_ruled_out"):
        table[f"{name}_adjusted"] = np.nan
        table.loc[counted, f"{name}_adjusted"] = holm(table.loc[counted, name].to_numpy(float))
    opposite = table["effect_a"] * table["effect_b"] < 0
    table["answer"] = "open"
    table.loc[table["p_ruled_out_adjusted"] <= alpha, "answer"] = "ruled out"
    table.loc[opposite & (table["p_cross_adjusted"] <= alpha), "answer"] = "reverses"
    table.loc[table["undefined"] != "", "answer"] = "undefined"
    table.loc[same, "answer"] = "identity"
    return table[TABLES["crossover"].columns]


def reversal_sentence(table: pd.DataFrame) -> str:
    """How many comparisons reverse, how many cannot, and how many are not known."""
    counted = table[table["answer"] != "identity"]
    if counted.empty:
        return ""
    of = counted["answer"].value_counts()
    parts = [f"{of.get(answer, 0)} {answer}" for answer in ANSWERS[:4]]
    return (
        f"Of {len(counted)} comparisons of two architectures under two methods (all layers of the "
        f"final stage and {counted['metric'].nunique()} metrics): {', '.join(parts)}."
    )


def rank_tables(
    observed: Observations, *, metric: str, resamples: int = 2000, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank probabilities of the architectures after fine-tuning, and agreement between methods.

    Parameters
    ----------
    observed : Observations
    metric : str
        A similarity, or a distance, which is ranked from the smallest.
    resamples, seed : int
        Of the crossed bootstrap, `lib.inference.bootstrap.bootstrap`.

    Returns
    -------
    ranks : DataFrame
        ``method``, ``role``, ``architecture``, ``rank``, ``probability``, ``resamples``,
        ``seeds``: with one seed the probabilities are over patients alone. An architecture without
        any value has NaN; the others are ranked among themselves.
    agreement : DataFrame
        ``method_a``, ``method_b``, ``role``, ``tau``, ``probability``, ``resamples``,
        ``observed``, ``architectures``: Kendall's τ over those that have a value under both
        methods.
    """
    cells = observed.cells(metric)
    if cells is None:
        return _joined([], "ranks"), _joined([], "agreement")
    distance = metric not in SIMILARITIES
    tuned = {name: cell for name, cell in cells.cells.items() if name[-1] == "finetune"}
    boot = bootstrap(CrossedCells(tuned, cells.patients), resamples=resamples, seed=seed)
    has_value = zip(boot.names, ~np.isnan(boot.estimates), strict=True)
    known = {name for name, there in has_value if there}
    groups: dict[tuple[str, str], list[Name]] = {}
    for name in boot.names:
        groups.setdefault(name[1:3], []).append(name)
    ranks, agreement = [], []
    for (method, role), names in groups.items():
        valued = [name for name in names if name in known]
        draws = boot.select(valued)[1]
        found = rank_probabilities(-np.abs(draws) if distance else draws, [n[0] for n in valued])
        if blank := [name[0] for name in names if name not in known]:
            found = pd.concat([found, pd.DataFrame({"architecture": blank})])
        seeds = min(len(np.unique(tuned[name].seeds)) for name in names)
        ranks.append(found.assign(method=method, role=role, seeds=seeds))
    for (method_a, role), (method_b, other) in combinations(groups, 2):
        both = [
            (a, b)
            for a, b in product(groups[method_a, role], groups[method_b, other])
            if a[0] == b[0] and {a, b} <= known
        ]
        if role == other and len(both) > 1:
            found = rank_agreement(boot, *map(list, zip(*both, strict=True)), distance=distance)
            facts = {"method_a": method_a, "method_b": method_b, "role": role}
            agreement.append(found.assign(**facts, architectures=len(both)))
    return _joined(ranks, "ranks"), _joined(agreement, "agreement")


def _joined(tables: list[pd.DataFrame], name: str) -> pd.DataFrame:
    columns = TABLES[name].columns
    if not tables:
        return pd.DataFrame(columns=columns)
    return pd.concat(tables, ignore_index=True)[columns]
