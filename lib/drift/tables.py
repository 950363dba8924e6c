"""The tables of a study, gathered from the artefacts of its checkpoints."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from lib.attribution.maps import MapSet
from lib.drift import pairings
from lib.drift.metrics import COSTLY, METRICS, QUICK
from lib.drift.summaries import summarise
from lib.models import performance
from lib.study.artefacts import ArtefactError, atomic, manifest_path, read_table, require
from lib.study.checkpoints import trained
from lib.study.paths import StudyPaths

CELL = ["architecture", "method", "role", "pairing"]


def load_maps(
    paths: StudyPaths, architecture: str, checkpoints: Sequence[str]
) -> dict[str, MapSet]:
    """Maps by checkpoint, of those that are complete.

    Raises
    ------
    ArtefactError
        If a set of maps has changed since it was completed.
    """
    sets = {}
    for checkpoint in checkpoints:
        path = paths.maps(architecture, checkpoint)
        if manifest_path(path).exists():
            require(path)
            sets[checkpoint] = MapSet.load(path)
    return sets


def gather(
    paths: StudyPaths,
    architectures: Sequence[str],
    checkpoints: Sequence[str],
    read: Callable[[str, str], pd.DataFrame],
) -> pd.DataFrame:
    """One table of all complete checkpoints, with the columns architecture and checkpoint.

    Raises
    ------
    ArtefactError
        If no checkpoint is complete.
    """
    found = [
        read(architecture, checkpoint).assign(architecture=architecture, checkpoint=checkpoint)
        for architecture in architectures
        for checkpoint in checkpoints
        if manifest_path(paths.checkpoint(architecture, checkpoint)).exists()
    ]
    if not found:
        raise ArtefactError(
            f"{paths.root / 'models'}: no complete checkpoint of {', '.join(architectures)}. "
            "Run 02_transfer first, or `make reproduce`."
        )
    table = pd.concat(found, ignore_index=True)
    first = ["architecture", "checkpoint"]
    return table[first + [column for column in table if column not in first]]


def performance_table(paths: StudyPaths, architectures, checkpoints, *, classes) -> pd.DataFrame:
    """Accuracy, balanced accuracy and areas by architecture, checkpoint and split."""

    def read(architecture: str, checkpoint: str) -> pd.DataFrame:
        predictions = read_table(paths.predictions(architecture, checkpoint))
        return performance.by_split(predictions, classes=classes).reset_index()

    return gather(paths, architectures, checkpoints, read)


def history_table(paths: StudyPaths, architectures, checkpoints) -> pd.DataFrame:
    """Learning curves of all checkpoints, a row per epoch."""
    return gather(
        paths, architectures, checkpoints, lambda *names: read_table(paths.history(*names))
    )


def confusion_table(paths: StudyPaths, architectures, checkpoints, *, classes) -> pd.DataFrame:
    """Confusions on the test films, a row per true and predicted class."""

    def read(architecture: str, checkpoint: str) -> pd.DataFrame:
        table = read_table(paths.predictions(architecture, checkpoint)).query("split == 'test'")
        labels = pd.Categorical(table["label"], categories=list(classes)).codes
        logits = performance.logits_of(table, classes=classes)
        return performance.confusion_rows(performance.confusion(logits, labels, classes=classes))

    return gather(paths, architectures, checkpoints, read)


def jointly_correct(paths: StudyPaths, architectures, checkpoints, *, classes) -> list[str]:
    """Test films that all checkpoints classify correctly, by their predictions: before any map.

    Parameters
    ----------
    paths : StudyPaths
    architectures, checkpoints : sequence of str
        All of them must have predicted.
    classes : sequence of str

    Returns
    -------
    list of str
        ``image_id`` of the films, in the order of the predictions.
    """
    right = []
    for architecture in architectures:
        for checkpoint in checkpoints:
            table = read_table(paths.predictions(architecture, checkpoint)).query("split == 'test'")
            told = performance.logits_of(table, classes=classes).argmax(axis=1)
            right.append(
                pd.Series(np.asarray(classes)[told], table["image_id"]) == table["label"].to_numpy()
            )
    together = pd.concat(right, axis=1).all(axis=1)
    return together.index[together].tolist()


def support_table(sets: dict[str, dict[str, MapSet]], *, classes: Sequence[str]):
    """Films that every trained checkpoint of every architecture classifies correctly.

    Parameters
    ----------
    sets : dict of architecture to dict of checkpoint to MapSet
    classes : sequence of str

    Returns
    -------
    common : ndarray of bool, shape (films,)
        Membership in the common support, in the order of the maps.
    table : DataFrame
        ``label``, ``films``, ``common``: test films and members of the common support by class.
    """
    everything = {f"{a}/{c}": m for a, of in sets.items() for c, m in of.items() if trained(c)}
    pairings.require_same_films(everything)
    common = pairings.common_support(np.stack([pairings.correct(m) for m in everything.values()]))
    labels = next(iter(everything.values())).label
    table = pd.DataFrame(
        {
            "label": classes,
            "films": np.bincount(labels, minlength=len(classes)),
            "common": np.bincount(labels[common], minlength=len(classes)),
        }
    )
    return common, table


def drift_tables(
    sets: dict[str, dict[str, MapSet]],
    wanted: Sequence[pairings.Pairing],
    patients: Sequence[str],
    common: np.ndarray,
    *,
    seed: int,
    pairs_file,
    keep: Sequence[str] = ("iou_top20",),
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Compare all pairs; the full table goes to disk cell by cell, summaries are returned.

    Parameters
    ----------
    sets : dict of architecture to dict of checkpoint to MapSet
    wanted : sequence of Pairing
    patients : sequence of str, shape (films,)
    common : ndarray of bool, shape (films,)
        The common support. A pair of two films counts only if both belong to it.
    seed : int
        Seed of the choice of unrelated films.
    pairs_file : Path
        CSV that receives every pair with all metrics.
    keep : sequence of str
        Metrics to return for every pair of the common support, for figures.

    Returns
    -------
    drift, strata, pairs : DataFrame
        Summaries on the common support by architecture, method, role and pairing; the same over all
        films by outcome stratum, without the costly metrics; and the kept metrics of every pair of
        the common support.

    Raises
    ------
    ArtefactError
        If no architecture has maps of both checkpoints of any pairing.
    """
    if all(len(pairings.missing(wanted, of)) == len(wanted) for of in sets.values()):
        raise ArtefactError(
            f"{pairs_file}: nothing to compare, no architecture has maps of two checkpoints that "
            "are paired. Run 03_finetune and 04_attribute first, or `make reproduce`."
        )
    whole, by_stratum, kept = [], [], []
    some = next(iter(next(iter(sets.values())).values()))
    member = pd.Series(common, index=some.image_id)
    with atomic(pairs_file) as temporary:
        for architecture, of in sets.items():
            for cell in pairings.compare_cells(of, wanted, patients, common, seed=seed):
                cell.insert(0, "architecture", architecture)
                both = member[cell["image_id"]].to_numpy() & member[cell["partner_id"]].to_numpy()
                cell.insert(9, "common", both)
                header = not temporary.exists()
                cell.to_csv(temporary, mode="a", header=header, index=False, float_format="%.6g")
                names = [*CELL, "before", "after"]
                whole.append(_summary(cell[both], cell, names))
                by_stratum.append(summarise(cell, [*names, "stratum"], metrics=QUICK))
                kept.append(cell.loc[both, [*CELL, "after", "image_id", *keep, "blank"]])
    return tuple(pd.concat(parts, ignore_index=True) for parts in (whole, by_stratum, kept))


def _summary(selected: pd.DataFrame, cell: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    if len(selected):
        scored = selected[selected["blank"] == ""]
        # On a fine grid nobody waits for the costly metrics: they have no row there.
        left_out = [x for x in COSTLY if len(scored) and scored[x].isna().all()]
        metrics = [name for name in METRICS if name not in left_out]
        return summarise(selected, names, metrics=metrics)
    # An empty common support is a result: the cell stays in the table with n = 0.
    table = summarise(cell.iloc[:1].assign(blank="no film"), names)
    return table.assign(n=0, mean=np.nan, sd=np.nan, median=np.nan, blank=0)


def over_seeds(table: pd.DataFrame, by: Sequence[str] = CELL) -> pd.DataFrame:
    """Summaries of single checkpoint pairs brought to one row per cell and metric.

    The mean is that of the pairs' means, each pair of checkpoints with equal weight; ``sd`` is the
    spread over films within a pair (root of the mean variance), ``pairs`` the number of checkpoint
    pairs and ``sd_pairs`` the spread of their means (NaN with one). ``n`` and ``blank`` are sums.
    """
    by = [*by, "metric"]
    table = table.assign(variance=table["sd"] ** 2)
    grouped = table.groupby(by, sort=False, observed=True)
    out = grouped.agg(
        pairs=("mean", "size"),
        n=("n", "sum"),
        mean=("mean", "mean"),
        sd=("variance", "mean"),
        sd_pairs=("mean", "std"),
        blank=("blank", "sum"),
    ).reset_index()
    return out.assign(sd=np.sqrt(out["sd"]))


def blank_tables(sets: dict[str, dict[str, MapSet]], *, classes: Sequence[str]) -> pd.DataFrame:
    """Blank maps of every architecture and checkpoint, see `lib.drift.pairings.blank_table`."""
    found = [
        pairings.blank_table(maps, classes=classes).assign(architecture=a, checkpoint=c)
        for a, of in sets.items()
        for c, maps in of.items()
    ]
    table = pd.concat(found, ignore_index=True)
    first = ["architecture", "checkpoint"]
    return table[first + [column for column in table if column not in first]]
