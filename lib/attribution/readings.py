"""How much a finding depends on choices that papers leave open: readings of one formula, compared.

A reading is a method with a score to differentiate, a class to explain and a way to scale the map.
All readings of a checkpoint make one set of maps, so that drift, tables and ranks are those of the
study.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lib.attribution.explainer import Explainer
from lib.attribution.formulas import minmax
from lib.attribution.maps import MapSet
from lib.data.batches import Films
from lib.models import backbones, layers


@dataclass(frozen=True)
class Reading:
    """One way to read "the map of a film".

    ``score`` ("logit", "probability") is differentiated, for the ``explained`` class ("true_class",
    "prediction"); with ``minmax`` the map is scaled with ε as for display. ``grid`` says the input
    sides: those of the "study", which give all architectures one grid, or the "native" ones of the
    ImageNet weights, at which the grids differ.
    """

    method: str
    score: str = "logit"
    explained: str = "true_class"
    minmax: bool = False
    grid: str = "study"

    @property
    def source(self) -> tuple[str, str]:
        """Which set of maps it comes from: score and explained class."""
        return self.score, self.explained


READINGS = {
    "LayerCAM": Reading("layercam"),
    "LayerCAM, min-max": Reading("layercam", minmax=True),
    "LayerCAM, probability": Reading("layercam", "probability"),
    "LayerCAM, probability, min-max": Reading("layercam", "probability", minmax=True),
    "LayerCAM, own prediction": Reading("layercam", explained="prediction"),
    "LayerCAM, native grid": Reading("layercam", grid="native"),
    "Grad-CAM": Reading("gradcam"),
    "Grad-CAM, own prediction": Reading("gradcam", explained="prediction"),
    "Grad-CAM, native grid": Reading("gradcam", grid="native"),
    "Grad-CAM++": Reading("gradcam_plus_plus"),
    "Grad-CAM++, authors' α": Reading("gradcam_plus_plus_positive"),
    "Grad-CAM++, plain α": Reading("gradcam_plus_plus_plain"),
    "Grad-CAM++, min-max": Reading("gradcam_plus_plus", minmax=True),
    "Grad-CAM++, probability": Reading("gradcam_plus_plus", "probability"),
    "Grad-CAM++, probability, min-max": Reading("gradcam_plus_plus", "probability", minmax=True),
    "Grad-CAM++, own prediction": Reading("gradcam_plus_plus", explained="prediction"),
    "Grad-CAM++, native grid": Reading("gradcam_plus_plus", grid="native"),
}
"""The first of each method is the study's; a name says what it changes."""


def at(grid: str) -> dict[str, Reading]:
    """The readings at the input sides of the study, or at the native ones, by name."""
    return {name: reading for name, reading in READINGS.items() if reading.grid == grid}


def _each(readings: Mapping[str, Reading], what: str) -> tuple:
    return tuple(dict.fromkeys(getattr(reading, what) for reading in readings.values()))


def combine(sets: Mapping[tuple[str, str], MapSet], *, grid: str = "study") -> MapSet:
    """All readings of one checkpoint as one set of maps, with the readings as its methods.

    `sets` are maps of the same films by (score, explained class), with the methods of the readings.
    """
    wanted = at(grid)
    sources = _each(wanted, "source")
    if missing := [source for source in sources if source not in sets]:
        raise ValueError(f"sets: found {list(sets)}; expected also {missing}.")
    base = sets[sources[0]]
    maps = {}
    for name, reading in wanted.items():
        for role in base.layers:
            found = sets[reading.source].maps[role, reading.method]
            maps[role, name] = minmax(found).astype(np.float32) if reading.minmax else found
    return replace(base, maps=maps)


def explain(
    architecture: str,
    films: Films,
    image_ids: Sequence[str],
    *,
    size: int,
    classes: int,
    roles: Sequence[str],
    checkpoints: Mapping[str, Path],
    batch_size: int,
    grid: str = "study",
    report: Callable[[int, int], None] | None = None,
) -> dict[str, MapSet]:
    """All readings of several checkpoints of one architecture.

    Parameters
    ----------
    architecture : str
        Key of `lib.study.architectures.ARCHITECTURES`.
    films, image_ids, batch_size, report
        As in `lib.attribution.explainer.Explainer`.
    size, classes : int
        Input side in pixels; number of classes.
    roles : sequence of str
        Layer roles, as in `lib.models.layers.select`.
    checkpoints : mapping of str to Path
        Weights files by the name of the checkpoint.
    grid : {"study", "native"}
        Which readings; `size` and the films must be those of this grid.

    Returns
    -------
    dict of checkpoint name to MapSet
        As `combine`.
    """
    model = backbones.build(architecture, size=size, classes=classes)
    explained = layers.select(model, architecture, roles)
    wanted = at(grid)
    explainers = {
        score: Explainer(model, explained, methods=_each(wanted, "method"), score=score)
        for score in _each(wanted, "score")
    }
    found = {}
    for name, path in checkpoints.items():
        backbones.load_weights(model, path)
        options = {"batch_size": batch_size, "report": report}
        found[name] = combine(
            {
                (score, choice): explainers[score](films, image_ids, explained=choice, **options)
                for score, choice in _each(wanted, "source")
            },
            grid=grid,
        )
    return found
