"""Drift while the backbone learns: the maps after every epoch against those of the start."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lib.attribution.maps import MapSet, correct, require_same_films
from lib.drift import metrics
from lib.evidence.mass import mask_on_grid, relevance_mass
from lib.models.performance import scores
from lib.study.names import label
from lib.study.paths import StudyPaths
from lib.study.schema import TABLES

METRICS = ("unit_distance", "soft_iou", "iou_top20")


def trajectory_table(
    start: MapSet, folder: Path, *, kept: int, classes: Sequence[str],
    lesions: np.ndarray | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Drift from the start, known evidence and performance after every epoch.

    The films are the same at every epoch: those that the start and the kept epoch classify
    correctly.

    Parameters
    ----------
    start : MapSet
        Of the transfer checkpoint, epoch 0.
    folder : Path
        Maps of the epochs, named by `lib.models.training_loop.epoch_file`.
    kept : int
        The epoch whose weights the checkpoint has.
    lesions : ndarray of shape (films, size, size), bool, optional
        Masks of the lesions in the frame of the input.

    Returns
    -------
    DataFrame
        A row per epoch (0 is the start), role and method: ``kept``, ``films``, ``blank`` (maps
        without evidence among them), the means of `METRICS` against the start and of
        ``lesion_mass`` (share of the map in the lesion), NaN where no map has a value, and of all
        test films ``macro_auc`` and ``balanced_accuracy``.
    """
    sets = {0: start} | {
        int(file.stem.rpartition("-")[2]): MapSet.load(file)
        for file in sorted(folder.glob("epoch-*.npz"))  # a killed run may have left others
    }
    require_same_films({f"epoch {epoch}": maps for epoch, maps in sets.items()})
    films = correct(start) & correct(sets[kept])
    rows = []
    for epoch, maps in sets.items():
        judged = scores(maps.logits, maps.label, classes=classes)
        for (role, method), stack in maps.maps.items():
            before, after = start.maps[role, method][films], stack[films]
            compared = metrics.compare(before, after, metrics=METRICS)
            blank = compared.pop("blank").str.contains("b: ", regex=False).sum()
            rows.append(
                {"epoch": epoch, "kept": epoch == kept, "role": role, "method": method}
                | {"films": int(films.sum()), "blank": int(blank)}
                | {"lesion_mass": _lesion_mass(after, lesions, films)}
                | compared.mean().to_dict()  # NaN without a film
                | {name: judged[name] for name in ("macro_auc", "balanced_accuracy")}
            )
    return pd.DataFrame(rows)


def of_study(
    paths: StudyPaths, sets: dict[str, dict[str, MapSet]], masks: dict, history: pd.DataFrame, *,
    transfer: str, followed: str, classes: Sequence[str],
) -> pd.DataFrame:  # fmt: skip
    """`trajectory_table` of every architecture whose training was followed.

    Parameters
    ----------
    paths : StudyPaths
    sets : dict of architecture to dict of checkpoint to MapSet
    masks : mapping of architecture to mapping of part to array
        As in `lib.evidence.changes.evidence_of_study`.
    history : DataFrame
        ``tables/history.csv``.
    transfer, followed : str
        The checkpoints at the start and at the end; "" if none was followed.
    classes : sequence of str
        In the order of the maps' labels.
    """
    kept = history[history["kept"].astype(bool) & history["checkpoint"].eq(followed)]
    kept = kept.set_index("architecture")["epoch"]
    parts = []
    for name, of in sets.items():
        folder = paths.epochs(name, followed, kind="maps")
        if name in kept and transfer in of and folder.is_dir():
            options = {"kept": int(kept[name]), "lesions": masks[name]["lesion"]}
            table = trajectory_table(of[transfer], folder, classes=classes, **options)
            parts.append(table.assign(architecture=name, checkpoint=followed))
    columns = TABLES["trajectory"].columns
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _lesion_mass(stack: np.ndarray, lesions: np.ndarray | None, films: np.ndarray) -> float:
    if lesions is None or not films.any():
        return np.nan
    values = relevance_mass(stack, mask_on_grid(lesions[films], stack.shape[1:]))
    values = values[lesions[films].any(axis=(1, 2)) & ~np.isnan(values)]
    return float(values.mean()) if len(values) else np.nan


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """How much of the drift, and of the gain in accuracy, was there after each epoch.

    By architecture, role and method: ``drift`` as a share of the kept epoch's ``unit_distance``,
    ``gain`` of its gain in balanced accuracy over the start. 0 at the start, 1 at the kept epoch,
    NaN where that has none.
    """
    own = table.set_index(["architecture", "role", "method"])
    end = own[own["kept"].astype(bool)].reindex(own.index)
    begun = own.loc[own["epoch"] == 0, "balanced_accuracy"].reindex(own.index)
    gained, moved = end["balanced_accuracy"] - begun, end["unit_distance"]
    found = own[["epoch", "kept"]].assign(
        drift=own["unit_distance"] / moved.where(moved > 0),
        gain=(own["balanced_accuracy"] - begun) / gained.where(gained > 0),
    )
    return found.reset_index()


def sentences(table: pd.DataFrame, *, role: str, method: str) -> list[str]:
    """What came first, the drift or the gain in accuracy: a sentence per architecture.

    Parameters
    ----------
    table : DataFrame
        Of `of_study`.
    role, method : str
        Which maps.
    """
    told = shares(table).query("role == @role and method == @method")
    found = []
    for architecture, of in told.groupby("architecture", sort=False):
        title = label(architecture)
        last = int(of.loc[of["kept"].astype(bool), "epoch"].iloc[0])
        if of["drift"].isna().all() or of["gain"].isna().all():
            found.append(f"{title}: no drift, or no gain, to follow up to epoch {last}.")
            continue
        drift, gain = (int(of.loc[of[name] >= 0.5, "epoch"].min()) for name in ("drift", "gain"))
        end = of.iloc[-1]
        after = f"; after epoch {end['epoch']} the drift is {end['drift']:.2f} of it"
        found.append(
            f"{title}, kept epoch {last}: half of the drift by epoch {drift}, half of the gain in "
            f"balanced accuracy by epoch {gain}{after if end['epoch'] > last else ''}."
        )
    return found
