"""Tables of known evidence: of single maps, and the change between two.

What is measured, and in which frame, is said in `lib.evidence.mass`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lib.attribution.arrays import blank_reason
from lib.attribution.maps import MapSet
from lib.drift.pairings import Pairing
from lib.drift.priors import centre_prior
from lib.evidence.mass import mask_on_grid, pointing_game, relevance_mass
from lib.inference.contrasts import clustered_mean

MEASURES = ("lesion_mass", "lesion_enrichment", "lesion_hit", "lung_mass")
MARKER = "marker_enrichment"
"""A further measure where a shortcut was planted. A marker covers so little of a film that its
share of a map is near 0 for any map: only the ratio to its area can be read."""
_KEYS = ["image_id", "role", "method"]
_FACTS = ["label", "patient_id", "lesion_area", "lung_area"]


def measures(table: pd.DataFrame, ending: str = "") -> list[str]:
    """The measures that a table has, in order; `ending` is what their columns end in."""
    return [*MEASURES, *([MARKER] if MARKER + ending in table else [])]


def _measured(maps: np.ndarray, masks, part: str, blank: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of `evidence_table` for one part of the film; NaN where its mask is empty."""
    if masks is None:
        masks = np.zeros((len(maps), 1, 1), bool)  # nothing is known of any film
    cover = mask_on_grid(masks, maps.shape[1:])
    prior = np.broadcast_to(centre_prior(maps.shape[1:]), maps.shape)
    area = cover.mean(axis=(1, 2))
    area[area == 0] = np.nan
    known, scored = ~np.isnan(area), ~np.isnan(area) & (blank == "")
    mass = np.where(scored, relevance_mass(maps, cover), np.nan)
    columns = {
        f"{part}_area": area,
        f"{part}_mass": mass,
        f"{part}_mass_centre": np.where(known, relevance_mass(prior, cover), np.nan),
    }
    if part == "lesion":
        columns |= {
            "lesion_enrichment": mass / area,
            "lesion_hit": np.where(scored, pointing_game(maps, cover), np.nan),
            "lesion_hit_uniform": np.where(known, (cover > 0).mean(axis=(1, 2)), np.nan),
            "lesion_hit_centre": np.where(known, pointing_game(prior, cover), np.nan),
        }
    if part == "marker":
        columns[MARKER] = mass / area
    return columns


def evidence_table(
    map_set: MapSet,
    lesions,
    lungs,
    *,
    classes: Sequence[str],
    patients: Sequence[str],
    markers=None,
) -> pd.DataFrame:
    """Evidence in the lesion and in the lungs for every map of a checkpoint.

    Parameters
    ----------
    map_set : MapSet
        Maps of n films.
    lesions, lungs : array of shape (n, size, size), bool, or None
        Masks in the order of the maps, in the frame of the network's input. A film with an empty
        mask has no answer (normal films have no lesion); with None no film has one.
    classes : sequence of str
        Names of the classes, in the order of `map_set.label`.
    patients : sequence of str, length n
        Patient of each film.
    markers : array as `lesions`, optional
        Where the marker of a planted shortcut lies.

    Returns
    -------
    DataFrame
        A row per film, role and method: ``image_id``, ``label``, ``patient_id``, ``role``,
        ``method``; ``lesion_area``, ``lung_area`` (share of the input in (0, 1]); ``lesion_mass``,
        ``lung_mass`` (share of the map in [0, 1]), ``lesion_enrichment`` (mass / area, 1 = chance),
        ``lesion_hit`` (0 or 1); ``lesion_mass_centre``, ``lung_mass_centre``,
        ``lesion_hit_centre`` (the same of `centre_prior`) and ``lesion_hit_uniform`` (of a cell
        drawn blindly); with `markers` also ``marker_area``, ``marker_mass``,
        ``marker_mass_centre`` and ``marker_enrichment``; ``blank`` ("" or why the map is blank).
        Measures are NaN where the map is blank (also if constant) or the mask empty.

    Raises
    ------
    ValueError
        If the masks or patients are not one per film.
    """
    count = len(map_set.image_id)
    masks = {"lesions": lesions, "lungs": lungs, "markers": markers}
    for name, given in (masks | {"patients": patients}).items():
        if given is not None and len(given) != count:
            raise ValueError(
                f"{name}: found {len(given)}; expected one for each of the {count} films of the "
                "maps, in their order."
            )
    parts = []
    for (role, method), maps in map_set.maps.items():
        blank = blank_reason(maps)
        columns = _measured(maps, lesions, "lesion", blank) | _measured(maps, lungs, "lung", blank)
        if markers is not None:
            columns |= _measured(maps, markers, "marker", blank)
        facts = {
            "image_id": map_set.image_id,
            "label": np.asarray(classes, dtype=object)[map_set.label],
            "patient_id": np.asarray(patients, dtype=object),
            "role": role,
            "method": method,
        }
        parts.append(pd.DataFrame({**facts, **columns, "blank": pd.array(blank, dtype="str")}))
    return pd.concat(parts, ignore_index=True)


def evidence_of_study(
    sets: dict[str, dict[str, MapSet]],
    lesions: Mapping[str, np.ndarray | None],
    lungs: Mapping[str, np.ndarray | None],
    *,
    classes: Sequence[str],
    patients: Sequence[str],
    markers: Mapping[str, np.ndarray | None] | None = None,
) -> pd.DataFrame:
    """`evidence_table` of every architecture and checkpoint.

    Parameters
    ----------
    sets : dict of architecture to dict of checkpoint to MapSet
    lesions, lungs, markers : mapping of architecture to masks or None
        Masks by architecture, because the input sizes differ.
    classes, patients
        As in `evidence_table`.

    Returns
    -------
    DataFrame
        Preceded by ``architecture``, ``checkpoint`` and ``stage`` ("transfer" of "transfer-s0").
    """
    parts = []
    for architecture, checkpoints in sets.items():
        masks = lesions[architecture], lungs[architecture]
        known = {"classes": classes, "patients": patients}
        known["markers"] = markers[architecture] if markers else None
        for checkpoint, maps in checkpoints.items():
            table = evidence_table(maps, *masks, **known)
            names = [architecture, checkpoint, checkpoint.rsplit("-s", 1)[0]]
            for place, name in enumerate(("architecture", "checkpoint", "stage")):
                table.insert(place, name, names[place])
            parts.append(table)
    return pd.concat(parts, ignore_index=True)


def evidence_change(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Evidence of a later checkpoint minus that of an earlier one, film by film.

    Parameters
    ----------
    before, after : DataFrame
        Of `evidence_table`, for two checkpoints of one architecture on the same films.

    Returns
    -------
    DataFrame
        ``image_id``, ``role``, ``method``, ``label``, ``patient_id``, ``lesion_area``,
        ``lung_area`` and each measure with the ending ``_change``: B minus A, positive where
        evidence was gained, NaN where either map is blank.

    Raises
    ------
    ValueError
        If a film occurs twice with one role and method, or the two tables hold different maps.
    """
    tables = {"before": before.set_index(_KEYS), "after": after.set_index(_KEYS)}
    for name, table in tables.items():
        if not table.index.is_unique:
            twice = table.index[table.index.duplicated()][0]
            raise ValueError(f"{name}: found {twice} twice; expected once: select one checkpoint.")
    first, second = tables.values()
    if len(odd := first.index.symmetric_difference(second.index)):
        raise ValueError(
            f"after: found {len(odd)} maps in one table alone, such as {odd[0]}; expected those of "
            "`before`: attribute both checkpoints on the same films."
        )
    both = measures(first)
    change = second.loc[first.index, both] - first[both]
    return first[_FACTS].join(change.add_suffix("_change")).reset_index()


def changes_of_study(evidence: pd.DataFrame, wanted: Sequence[Pairing]) -> pd.DataFrame:
    """`evidence_change` of all pairings of a study whose two checkpoints have evidence.

    Parameters
    ----------
    evidence : DataFrame
        Of `evidence_of_study`.
    wanted : sequence of Pairing
        Those of unrelated films (``ceiling``) are passed over: two films share no lesion.

    Returns
    -------
    DataFrame
        Preceded by ``architecture``, ``pairing``, ``before`` and ``after``.

    Raises
    ------
    ValueError
        If no pairing has both checkpoints.
    """
    parts = []
    for architecture, own in evidence.groupby("architecture", sort=False):
        tables = dict(iter(own.groupby("checkpoint", sort=False)))
        for pair in wanted:
            if pair.name != "ceiling" and {pair.before, pair.after} <= set(tables):
                change = evidence_change(tables[pair.before], tables[pair.after])
                names = {"architecture": architecture, "pairing": pair.name}
                names |= {"before": pair.before, "after": pair.after}
                parts.append(change.assign(**names)[[*names, *change]])
    if not parts:
        found = sorted(evidence["checkpoint"].unique())
        raise ValueError(f"evidence: found {found}; expected both checkpoints of a pairing.")
    return pd.concat(parts, ignore_index=True)


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
