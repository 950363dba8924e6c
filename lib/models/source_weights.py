"""Make the shipped source weights: ``python -m lib source-weights [BACKBONE …]``.

Draws the films once, trains each backbone on them, rounds it to eight bits, measures what it is
worth before and after rounding by a linear probe, and writes file and record. Everything is
resumable: run it again after an interruption. The product lies in ``--out``; nothing is shipped
until it is copied to ``lib/models/shipped`` and committed, once, because every version stays in the
history of the repository.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from lib.data.batches import Films, batches
from lib.data.phantoms import source_films
from lib.models import backbones, eight_bit, linear_probe, source_task
from lib.study import artefacts
from lib.study.load import load
from lib.study.params import Params

SEED = 20261126
FILMS = 40_000


def export(
    backbone: keras.Model, architecture: str, out: Path, *, source: source_films.SourceSet,
    curve: pd.DataFrame, probed: dict[str, Params], folder: Path, seed: int,
) -> dict:  # fmt: skip
    """Write a trained backbone in eight bits, with a record of its making and its worth.

    Parameters
    ----------
    backbone : keras.Model
        Its batch-norm statistics become those of the drawn films.
    out : Path
        Folder of the product.
    source, curve
        Of `lib.models.source_task.train`.
    probed : dict of str to Params
        Studies on whose films it is probed, by name.
    folder : Path
        Where the films of the probes are kept.

    Returns
    -------
    dict
        By study: `linear_probe.probe` of ``float`` and ``eight_bit``, and the ``difference`` of
        their macro AUC.
    """
    path = Path(out) / f"{architecture}.npz"
    recipe = source_task.RECIPES[architecture]
    record = artefacts.begin(
        path,
        parameters={
            "architecture": architecture, "seed": seed, "films": source.folder.name,
            "recipe": asdict(recipe),
        },
    )  # fmt: skip
    size = backbone.input_shape[1]
    rows = source_task.HELD_OUT + np.random.default_rng(seed).permutation(
        len(source) - source_task.HELD_OUT
    )[:1024]  # fmt: skip
    drawn = Films(
        np.rint(source_task.images(source, np.sort(rows), size)[..., 0]).astype(np.uint8),
        np.arange(len(rows)), np.zeros(len(rows), int),
    )  # fmt: skip
    backbones.recalibrate_batch_norm(backbone, (x for x, *_ in batches(drawn, batch_size=32)))
    eight_bit.write(backbone, path)
    record.complete()  # so that it can be read; rewritten with the probes below
    probes = {}
    for name, params in probed.items():
        manifest = linear_probe.prepare(params, Path(folder) / name)
        side = params.input_size[architecture]
        films = np.load(Path(folder) / name / f"images_{side}.npy", mmap_mode="r")
        train = np.flatnonzero(manifest["split"] == "train")
        found = {}
        for kind in ("float", "eight_bit"):
            judged = backbones.build_backbone(architecture, size=side)
            if kind == "float":
                judged.set_weights(backbone.get_weights())
            else:
                eight_bit.read_into(judged, path)
            values = linear_probe.features(judged, films, train)
            found[kind] = linear_probe.probe(values, manifest)
        change = found["eight_bit"]["macro_auc"] - found["float"]["macro_auc"]
        probes[name] = found | {"difference": change}
    keep = ["phase", "size", "films", "train_loss", "loss", "macro_auc", "measures_r2"]
    rounded = curve[[name for name in keep if name in curve]].round(4)
    record.complete(probes=probes, curve=rounded.to_dict("list"))
    return probes


def make(
    names: Sequence[str], root: Path, *, out: Path | None = None, real: str = "",
    only_draw: bool = False,
) -> None:  # fmt: skip
    """Draw the films, train backbones, and write them in eight bits; continues where it stopped.

    Parameters
    ----------
    names : sequence of str
        Keys of `lib.study.architectures.ARCHITECTURES`.
    root : Path
        Receives films, states and the films of the probes.
    out : Path, optional
        Where the product goes, ``<root>/out`` by default.
    real : str
        Manifest of real films to probe too, if there are any.
    only_draw : bool
        Draw the films and stop.
    """

    def report(line: str) -> None:
        print(time.strftime("%H:%M:%S"), line, flush=True)

    folder = source_films.set_folder(root, films=FILMS, seed=SEED)
    if only_draw or not folder.exists():
        source_films.write_set(root, films=FILMS, seed=SEED, report=report)
    if only_draw:
        return
    source = source_films.open_set(folder)
    probed = {"phantom": load("phantom")}
    if real:
        probed["real"] = load("real", {"data": {"source": real}})
    for architecture in names:
        backbone, curve = source_task.train(
            architecture, source, root / architecture, seed=SEED, report=report
        )
        probes = export(
            backbone, architecture, out or root / "out", source=source, curve=curve, probed=probed,
            folder=root / "probe", seed=SEED,
        )  # fmt: skip
        report(f"{architecture}: {probes}")
