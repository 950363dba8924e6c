"""Tables of known evidence: of single maps, and the change between two.

What is measured, and in which frame, is said in `lib.evidence.mass`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
import pandas as pd

from lib.attribution.arrays import blank_reason
from lib.attribution.maps import MapSet
from lib.drift.pairings import Pairing
from lib.drift.priors import centre_prior
from lib.evidence.mass import mask_on_grid, pointing_game, relevance_mass
from lib.inference.contrasts import clustered_mean
from lib.study.names import stage_of
from lib.study.schema import TABLES, require_columns

MEASURES = ("lesion_mass", "lesion_enrichment", "lesion_hit", "lung_mass")
MARKER = "marker_enrichment"
"""A further measure where a shortcut was planted. A marker covers so little of a film that its
share of a map is near 0 for any map: only the ratio to its area can be read."""
PAIR = ["architecture", "method", "role", "pairing", "before", "after", "image_id"]
"""Columns that name a pair of maps of one film, here and in ``tables/pairs.csv``."""
_MAP = ["image_id", "role", "method"]
_FACTS = ["label", "patient_id", "lesion_area", "lung_area"]


def evidence_of_study(
    sets: dict[str, dict[str, MapSet]], masks: Mapping[str, Mapping[str, np.ndarray | None]], *,
    classes: Sequence[str], patients: Sequence[str],
) -> pd.DataFrame:  # fmt: skip
    """Evidence in the lesion, in the lungs and in a planted marker for every map of a study.

    Parameters
    ----------
    sets : dict of architecture to dict of checkpoint to MapSet
        Maps of n films.
    masks : mapping of architecture to mapping of part to array of shape (n, size, size), bool
        Masks of "lesion", "lung" and "marker" in the order of the maps, in the frame of the
        network's input. A film with an empty mask has no answer (normal films have no lesion); with
        None in place of the masks no film has one.
    classes : sequence of str
        In the order of the maps' labels.
    patients : sequence of str, shape (n,)
        Patient of each film.

    Returns
    -------
    DataFrame
        A row per architecture, checkpoint, role, method and film: these, ``stage`` ("transfer" of
        "transfer-s0"), ``label``, ``patient_id``, ``blank`` ("" or why the map is blank), and of
        each part, such as the lesion, ``lesion_area`` (share of the input in (0, 1]),
        ``lesion_mass`` (share of the map in [0, 1]), ``lesion_enrichment`` (mass / area, 1 =
        chance), ``lesion_hit`` (0 or 1); each measure also with the endings ``_uniform`` (of a map
        that is the same everywhere, of a cell drawn blindly) and ``_centre`` (of `centre_prior`). A
        marker has columns only where it has masks. Measures are NaN where the map is blank (also if
        constant) or the mask empty.

    Raises
    ------
    ValueError
        If there is not one mask per film.
    """
    parts = []
    for architecture, checkpoints in sets.items():
        covers = _covers(masks[architecture], films=len(patients))
        for checkpoint, map_set in checkpoints.items():
            facts = {
                **{"architecture": architecture, "checkpoint": checkpoint},
                "image_id": map_set.image_id,
                "label": np.asarray(classes, dtype=object)[map_set.label],
                "patient_id": np.asarray(patients, dtype=object),
            }
            for (role, method), maps in map_set.maps.items():
                names = facts | {"role": role, "method": method}
                parts.append(pd.DataFrame(names | _measured(maps, covers(maps.shape[1:]))))
    evidence = pd.concat(parts, ignore_index=True)
    return evidence.assign(stage=stage_of(evidence["checkpoint"]))


def _covers(masks: Mapping[str, np.ndarray | None], *, films: int) -> Callable[..., dict]:
    """For a grid, the cover by each part and what it says without any map; once for all maps."""
    for part, stack in masks.items():
        if stack is not None and len(stack) != films:
            raise ValueError(
                f"{part}: found {len(stack)} masks; expected one for each of the {films} films of "
                "the maps, in their order."
            )

    @cache
    def covers(grid: tuple[int, int]) -> dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]:
        found = {}
        for part, stack in masks.items():
            if stack is None and part == "marker":
                continue
            cover = mask_on_grid(np.zeros((films, 1, 1), bool) if stack is None else stack, grid)
            prior = np.broadcast_to(centre_prior(grid), cover.shape)
            area = cover.mean(axis=(1, 2))
            area[area == 0] = np.nan
            centre = relevance_mass(prior, cover)
            chance = {
                "area": area, "mass_uniform": area, "mass_centre": centre,
                "enrichment_uniform": area / area, "enrichment_centre": centre / area,
                "hit_uniform": (cover > 0).mean(axis=(1, 2)),
                "hit_centre": pointing_game(prior, cover),
            }  # fmt: skip
            found[part] = cover, chance
        return found

    return covers


def _measured(maps: np.ndarray, covers: dict) -> dict[str, np.ndarray]:
    blank = blank_reason(maps)
    columns = {"blank": pd.array(blank, dtype="str")}
    for part, (cover, chance) in covers.items():
        known = ~np.isnan(chance["area"])
        mass, hit = relevance_mass(maps, cover), pointing_game(maps, cover)
        measured = {"mass": mass, "enrichment": mass / chance["area"], "hit": hit}
        for values, valid in ((chance, known), (measured, known & (blank == ""))):
            columns |= {f"{part}_{k}": np.where(valid, v, np.nan) for k, v in values.items()}
    return columns


def changes_of_study(evidence: pd.DataFrame, wanted: Sequence[Pairing]) -> pd.DataFrame:
    """Evidence of a later checkpoint minus that of an earlier one, film by film.

    Pairings of unrelated films (``ceiling``) are passed over, as two films share no lesion, and
    those of which a checkpoint has no evidence.

    Returns
    -------
    DataFrame
        A row per `PAIR`: these, ``label``, ``patient_id``, ``lesion_area``, ``lung_area`` and each
        measure with the ending ``_change``: B minus A, positive where evidence was gained, NaN
        where either map is blank.

    Raises
    ------
    ValueError
        If no pairing has both checkpoints, a map occurs twice or two checkpoints have not the same.
    """
    maps = ["architecture", "checkpoint", *_MAP]
    if (again := evidence.duplicated(maps)).any():
        found = evidence.loc[again, maps].iloc[0].to_dict()
        raise ValueError(f"evidence: found {found} twice; expected once.")
    parts = []
    for architecture, own in evidence.groupby("architecture", sort=False):
        tables = {name: of.set_index(_MAP) for name, of in own.groupby("checkpoint", sort=False)}
        for pair in wanted:
            if pair.name == "ceiling" or not {pair.before, pair.after} <= set(tables):
                continue
            before, after = tables[pair.before], tables[pair.after]
            if len(odd := before.index.symmetric_difference(after.index)):
                raise ValueError(
                    f"{pair.after}: found {len(odd)} maps in one table alone, such as {odd[0]}; "
                    f"expected those of {pair.before}: attribute both on the same films."
                )
            both = measures(evidence)
            change = (after.loc[before.index, both] - before[both]).add_suffix("_change")
            names = {"pairing": pair.name, "before": pair.before, "after": pair.after}
            table = before[_FACTS].join(change).reset_index()
            parts.append(table.assign(architecture=architecture, **names))
    if not parts:
        found = sorted(evidence["checkpoint"].unique())
        raise ValueError(f"evidence: found {found}; expected both checkpoints of a pairing.")
    return pd.concat(parts, ignore_index=True)


def measures(table: pd.DataFrame, ending: str = "") -> list[str]:
    """The measures that a table has, in order; `ending` is what their columns end in."""
    return [*MEASURES, *([MARKER] if MARKER + ending in table else [])]


def lesion_gains(changes: pd.DataFrame) -> pd.DataFrame:
    """Gain of lesion evidence, film by film, laid out as ``tables/pairs.csv``.

    Of `changes_of_study` with the supports ``common`` and ``own``: a row per pair of maps of a film
    with a lesion. ``lesion_gain`` in [−1, 1] is the relevance mass in the lesion after minus
    before, NaN where a map is blank; ``partner_id`` is the same film.
    """
    rows = changes[changes["lesion_area"].notna()]
    rows = rows.assign(partner_id=rows["image_id"], lesion_gain=rows["lesion_mass_change"])
    return rows[TABLES["lesion_gain"].columns].reset_index(drop=True)


def evidence_summary(
    evidence: pd.DataFrame, *, by: Sequence[str] = ("architecture", "checkpoint", "role", "method")
) -> pd.DataFrame:
    """Mean evidence by group, beside what a uniform map and a centre prior give on the same films.

    A row per group and measure: ``n`` (maps scored), ``patients``, ``mean``, ``low``, ``high`` (NaN
    below two patients), ``blank`` (blank maps of films whose mask is known), and over the scored
    films ``uniform`` and ``centre``, the chance levels. A group without any value keeps its rows,
    with n = 0. The 95 % interval holds over patients for the checkpoints at hand; it does not
    contain the spread of training seeds.
    """
    require_columns(evidence, by, "evidence")
    rows = []
    for group, part in evidence.groupby(list(by), sort=False, observed=True):
        for measure in measures(evidence):
            uniform, centre = part[f"{measure}_uniform"], part[f"{measure}_centre"]
            scored = part[measure].notna()
            rows.append(
                dict(zip(by, group, strict=True))
                | {"measure": measure, **mean_of(part[measure], part["patient_id"])}
                | {"blank": (uniform.notna() & ~scored).sum()}
                | {"uniform": uniform[scored].mean(), "centre": centre[scored].mean()}
            )
    return pd.DataFrame(rows)


def change_summary(
    change: pd.DataFrame, *, by: Sequence[str] = ("architecture", "pairing", "role", "method")
) -> pd.DataFrame:
    """Mean change of each measure, with its interval over patients.

    The same films are seen before and after, so this interval and not the overlap of two intervals
    of `evidence_summary` tells whether evidence was gained. Pairs of one film under several seeds
    are one patient's. Columns are `by`, ``measure``, ``n``, ``patients``, ``mean``, ``low``,
    ``high``.
    """
    rows = [
        dict(zip(by, group, strict=True))
        | {"measure": measure, **mean_of(part[f"{measure}_change"], part["patient_id"])}
        for group, part in change.groupby(list(by), sort=False, observed=True)
        for measure in measures(change, "_change")
    ]
    return pd.DataFrame(rows)


def mean_of(values: pd.Series, patients: pd.Series) -> dict[str, float]:
    """Number of values that are not NaN, of their patients, mean and its 95 % interval."""
    known = values.notna()
    values, patients = values[known].to_numpy(), patients[known]
    found = dict(zip(("mean", "low", "high"), clustered_mean(values, patients), strict=True))
    return {"n": len(values), "patients": patients.nunique(), **found}
