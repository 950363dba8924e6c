"""A finished run beside the published one: ``python -m lib verify STUDY``.

Training does not repeat to the last digit on another processor, so that a rerun is not compared
digit by digit: every figure of the front page is compared in units of what another seed changes.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from lib.report.digest import PRIMARY, paper_cells, public_parameters
from lib.study.artefacts import read_manifest, read_table, require, write_table
from lib.study.errors import ArtefactError
from lib.study.names import stage_of
from lib.study.paths import ROOT, StudyPaths

KEYS = ["quantity", "of", "architecture", "role", "method"]
LIMIT = 3.0
"""Standard errors that two runs of one design may differ by."""
ALLOWED = 0.05
"""Share of figures that may differ by more: some will, of some fifty, by chance alone."""
RESOLUTION = 0.005
"""What the front page's rounding hides; the least unit, for controls whose seeds all agree."""


def figures(tables: Path) -> pd.DataFrame:
    """The figures of the front page, a row each, from a folder of tables.

    `KEYS` (``of`` is a stage or a pairing), ``mean``, ``sd`` (over runs, NaN with one), ``runs``.
    """
    test = read_table(tables / "performance.csv").query("split == 'test'")
    long = test.assign(of=stage_of(test["checkpoint"])).melt(
        ["architecture", "of"], ["macro_auc", "balanced_accuracy"], var_name="quantity"
    )
    groups = long.groupby(["quantity", "of", "architecture"], sort=False)["value"]
    scores = groups.agg(mean="mean", sd="std", runs="size").reset_index()
    drift = paper_cells(read_table(tables / "drift.csv"))
    shown = (drift["metric"] == PRIMARY) & drift["mean"].notna()
    names = {"metric": "quantity", "pairing": "of", "sd_pairs": "sd", "pairs": "runs"}
    overlaps = drift[shown].rename(columns={"sd": "sd_films"}).rename(columns=names)
    table = pd.concat([scores.assign(role="", method=""), overlaps], ignore_index=True)
    return table[[*KEYS, "mean", "sd", "runs"]]


def compare(published: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Differences between two runs of a study, as `figures`, in units of what another seed changes.

    `KEYS`, ``published``, ``found``, ``difference`` (found - published), ``unit`` (its standard
    error: the spread over seeds, pooled over both runs and over all figures of one quantity and
    stage or pairing), ``in_units``, and ``verdict``: "agrees" (at most `LIMIT` units), "differs",
    "only published" or "only found".
    """
    both = pd.concat([published, found])
    df = (both["runs"] - 1).where(both["sd"].notna(), 0)
    variance = both.assign(df=df, squares=df * both["sd"].fillna(0) ** 2)
    table = published.merge(found, "outer", on=KEYS, suffixes=("_published", "_found"), sort=False)

    def pooled(by: list[str]) -> pd.Series:
        sums = variance.groupby(by)[["squares", "df"]].sum()
        spread = (sums["squares"] / sums["df"]).where(sums["df"] > 0) ** 0.5
        return table[by].join(spread.rename("spread"), on=by)["spread"]

    # One transfer checkpoint has no spread: it borrows that of all stages.
    own, all_stages = pooled(["quantity", "of"]), pooled(["quantity"])
    spread = own.fillna(all_stages).fillna(0).clip(lower=RESOLUTION)
    table["unit"] = spread * np.sqrt(1 / table["runs_published"] + 1 / table["runs_found"])
    table["difference"] = table["mean_found"] - table["mean_published"]
    table["in_units"] = table["difference"] / table["unit"]
    alone = [table["mean_found"].isna(), table["mean_published"].isna()]
    cases = [*alone, table["in_units"].abs() > LIMIT]
    words = ["only published", "only found", "differs"]
    table["verdict"] = np.select(cases, words, "agrees")
    table = table.rename(columns={"mean_published": "published", "mean_found": "found"})
    return table[[*KEYS, "published", "found", "difference", "unit", "in_units", "verdict"]]


def sentence(table: pd.DataFrame, changed: list[str]) -> str:
    """What a comparison says, where these parameters are not those of the published run."""
    compared = table[table["verdict"].isin(("agrees", "differs"))]
    differ = compared[compared["verdict"] == "differs"]
    if compared.empty:
        return "This run has no figure in common with the published one."
    agrees = len(differ) <= ALLOWED * len(compared)
    told = (
        f"This run {'agrees' if agrees else 'differs'}: {len(compared) - len(differ)} of "
        f"{len(compared)} figures lie within {LIMIT:g} units of the published ones (a unit is what "
        "another seed changes)."
    )
    if len(differ):
        order = differ["in_units"].abs().sort_values(ascending=False, kind="stable").index
        worst = differ.loc[order[0]]
        place = " ".join(part for part in worst[KEYS[1:]] if part)
        told += f" Furthest: {worst['quantity']} of {place}, {worst['in_units']:+.1f} units."
    if alone := len(table) - len(compared):
        told += f" {alone} figures stand in one of the two only."
    if changed:
        told += f" Its parameters are not those of the published run: {', '.join(changed)}."
    return told


def changed_parameters(published: dict, found: dict) -> list[str]:
    """Keys of parameters that both have with different values, as ``data.phantom.size``."""
    one, other = (
        pd.json_normalize(public_parameters(parameters)).iloc[0].to_dict()
        for parameters in (published, found)
    )
    return sorted(key for key in one.keys() & other.keys() if one[key] != other[key])


def verify(paths: StudyPaths, *, reference: Path | None = None) -> str:
    """Compare a finished study with the published one, by default that of its name, in words.

    Writes ``verify.csv`` into its folder.
    """
    reference = Path(reference or ROOT / "results" / "reference" / paths.study)
    if not (reference / "provenance.json").is_file():
        raise ArtefactError(
            f"{reference}: no published study there; expected provenance.json and tables/. Name "
            "another one: REFERENCE=results/reference/phantom."
        )
    require(paths.tables / "drift.csv")
    table = compare(figures(reference / "tables"), figures(paths.tables))
    write_table(paths.root / "verify.csv", table)
    origin = json.loads((reference / "provenance.json").read_text(encoding="utf-8"))
    own = read_manifest(paths.tables / "drift.csv")
    changed = changed_parameters(origin["parameters"], own["parameters"])
    return f"{table.round(3).to_string(index=False)}\n\n{sentence(table, changed)}"
