"""Means of known evidence beside chance, and of its change, with intervals over patients."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import t as student

from lib.evidence.changes import MARKER, measures


def clustered_mean(
    values: np.ndarray, patients: pd.Series, level: float = 0.95
) -> tuple[float, float, float]:
    """Mean and its interval, linearised and clustered by patient, t with patients − 1.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Without NaN.
    patients : Series of length n
    level : float in (0, 1)

    Returns
    -------
    tuple of float
        Mean, low, high; NaN without values, the limits also below two patients.
    """
    mean = values.mean() if len(values) else np.nan
    codes, names = pd.factorize(patients)
    if len(names) < 2:
        return mean, np.nan, np.nan
    deviations = np.bincount(codes, values - mean)
    error = np.sqrt(len(names) / (len(names) - 1) * (deviations**2).sum()) / len(values)
    half = student.ppf((1 + level) / 2, len(names) - 1) * error
    return mean, mean - half, mean + half


def evidence_summary(
    evidence: pd.DataFrame,
    *,
    by: Sequence[str] = ("architecture", "checkpoint", "role", "method"),
    level: float = 0.95,
) -> pd.DataFrame:
    """Mean evidence by group, beside what a uniform map and a centre prior give on the same films.

    Parameters
    ----------
    evidence : DataFrame
        Of `lib.evidence.changes.evidence_of_study`.
    by : sequence of str
        Columns that make a group, such as also "label", or "stage" to pool seeds.
    level : float in (0, 1)
        Of the interval. It holds over patients for the checkpoints at hand; it does not contain
        the spread of training seeds.

    Returns
    -------
    DataFrame
        A row per group and measure: `by`, ``measure`` (as `lib.evidence.changes.measures`),
        ``n`` (maps scored),
        ``patients``, ``mean``, ``low``, ``high`` (NaN below two patients), ``blank`` (blank maps of
        films whose mask is known), and over the scored films ``uniform`` and ``centre``, the chance
        levels. A group without any value keeps its rows, with n = 0.

    Raises
    ------
    ValueError
        If `by` lacks a column.
    """
    if missing := [column for column in by if column not in evidence]:
        raise ValueError(f"evidence: found columns {list(evidence)}; expected also {missing}.")
    chance = {
        "lesion_mass": (evidence["lesion_area"], evidence["lesion_mass_centre"]),
        "lesion_enrichment": (
            evidence["lesion_area"].where(evidence["lesion_area"].isna(), 1.0),
            evidence["lesion_mass_centre"] / evidence["lesion_area"],
        ),
        "lesion_hit": (evidence["lesion_hit_uniform"], evidence["lesion_hit_centre"]),
        "lung_mass": (evidence["lung_area"], evidence["lung_mass_centre"]),
    }
    if MARKER in evidence:
        chance[MARKER] = (
            evidence["marker_area"].where(evidence["marker_area"].isna(), 1.0),
            evidence["marker_mass_centre"] / evidence["marker_area"],
        )
    rows = []
    for group, part in evidence.groupby(list(by), sort=False, observed=True):
        for measure, levels in chance.items():
            scored = part.index[part[measure].notna()]
            uniform, centre = (level_of.loc[scored].mean() for level_of in levels)
            patients = part.loc[scored, "patient_id"]
            mean, low, high = clustered_mean(part.loc[scored, measure].to_numpy(), patients, level)
            known = levels[0].loc[part.index].notna()
            rows.append(
                dict(zip(by, group, strict=True))
                | {"measure": measure, "n": len(scored), "patients": patients.nunique()}
                | {"mean": mean, "low": low, "high": high}
                | {"blank": int((known & part[measure].isna()).sum())}
                | {"uniform": uniform, "centre": centre}
            )
    return pd.DataFrame(rows)


def change_summary(
    change: pd.DataFrame,
    *,
    by: Sequence[str] = ("architecture", "pairing", "role", "method"),
    level: float = 0.95,
) -> pd.DataFrame:
    """Mean change of each measure, with its interval over patients.

    The same films are seen before and after, so this interval and not the overlap of two intervals
    of `evidence_summary` tells whether evidence was gained.

    Parameters
    ----------
    change : DataFrame
        Of `lib.evidence.changes.changes_of_study`.
    by, level
        As in `evidence_summary`; pairs of one film under several seeds are one patient's.

    Returns
    -------
    DataFrame
        A row per group and measure: `by`, ``measure``, ``n``, ``patients``, ``mean``, ``low``,
        ``high``.
    """
    rows = []
    for group, part in change.groupby(list(by), sort=False, observed=True):
        for measure in measures(change, "_change"):
            scored = part.dropna(subset=f"{measure}_change")
            values, patients = scored[f"{measure}_change"].to_numpy(), scored["patient_id"]
            found = {"measure": measure, "n": len(scored), "patients": patients.nunique()}
            found |= zip(
                ("mean", "low", "high"), clustered_mean(values, patients, level), strict=True
            )
            rows.append(dict(zip(by, group, strict=True)) | found)
    return pd.DataFrame(rows)
