"""Make the shipped source weights: ``python -m lib source-weights [BACKBONE …]``.

Draws the films once, trains each backbone on them, rounds it to eight bits, measures what it is
worth before and after rounding by a linear probe, and writes file and record to ``<root>/out``.
Everything is resumable: run it again after an interruption. Nothing is shipped until it is copied
to ``lib/models/shipped`` and committed, once, because every version stays in the history of the
repository.
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
    backbone: keras.Model, architecture: str, root: Path, *, source: source_films.SourceSet,
    curve: pd.DataFrame, probed: dict[str, Params],
) -> dict:  # fmt: skip
    """Write a trained backbone in eight bits, with a record of its making and its worth.

    Its batch-norm statistics become those of the drawn films, and it is probed on the films of some
    studies.

    Returns
    -------
    dict
        By study: `linear_probe.probe` of ``float`` and ``eight_bit``, and the ``difference`` of
        their macro AUC.
    """
    path = root / "out" / f"{architecture}.npz"
    recipe = source_task.RECIPES[architecture]
    record = artefacts.begin(
        path,
        parameters={
            "architecture": architecture, "seed": SEED, "films": source.folder.name,
            "recipe": asdict(recipe),
        },
    )  # fmt: skip
    held, size = source_task.HELD_OUT, backbone.input_shape[1]
    rows = held + np.random.default_rng(SEED).permutation(len(source) - held)[:1024]
    drawn = Films(
        np.rint(source_task.images(source, np.sort(rows), size)[..., 0]).astype(np.uint8),
        np.arange(len(rows)), np.zeros(len(rows), int),
    )  # fmt: skip
    backbones.recalibrate_batch_norm(backbone, (x for x, *_ in batches(drawn, batch_size=32)))
    eight_bit.write(backbone, path)
    record.complete()  # so that it can be read; rewritten with the probes below
    probes = {}
    for name, params in probed.items():
        folder, side = root / "probe" / name, params.input_size[architecture]
        manifest = linear_probe.prepare(params, folder)
        films = np.load(folder / f"images_{side}.npy", mmap_mode="r")
        train = np.flatnonzero(manifest["split"] == "train")
        exact, rounded = (backbones.build_backbone(architecture, size=side) for _ in range(2))
        exact.set_weights(backbone.get_weights())
        eight_bit.read_into(rounded, path)
        found = {
            kind: linear_probe.probe(linear_probe.features(judged, films, train), manifest)
            for kind, judged in (("float", exact), ("eight_bit", rounded))
        }
        change = found["eight_bit"]["macro_auc"] - found["float"]["macro_auc"]
        probes[name] = found | {"difference": change}
    told = ["phase", "size", "films", "train_loss", "loss", "macro_auc", "measures_r2"]
    record.complete(probes=probes, curve=curve[told].round(4).to_dict("list"))
    return probes


def make(names: Sequence[str], root: Path, *, real: str = "") -> None:
    """Draw the films, train backbones, and write them in eight bits; continues where it stopped.

    `root` receives films, states, the films of the probes and the product; `real` may be the
    manifest of real films to probe too.
    """

    def report(line: str) -> None:
        print(time.strftime("%H:%M:%S"), line, flush=True)

    source = source_films.write_set(root, films=FILMS, seed=SEED, report=report)
    probed = {"phantom": load("phantom")}
    if real:
        probed["real"] = load("real", {"data": {"source": real}})
    for architecture in names:
        backbone, curve = source_task.train(
            architecture, source, root / architecture, seed=SEED, report=report
        )
        probes = export(backbone, architecture, root, source=source, curve=curve, probed=probed)
        report(f"{architecture}: {probes}")
