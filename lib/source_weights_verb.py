"""Make the shipped source weights: ``python -m lib.source_weights_verb [BACKBONE …]``.

Draws the films once, trains each backbone on them, rounds it to eight bits, measures what it is
worth before and after rounding by a linear probe, and writes file and record. Everything is
resumable: run it again after an interruption. The product lies in ``--out``; nothing is shipped
until it is copied to ``lib/source_weights`` and committed, once, because every version stays in the
history of the repository.
"""

import argparse
import time
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from lib import artefacts, eight_bit, models, source_films, source_probe, source_task
from lib.architectures import ARCHITECTURES
from lib.batches import Films, batches
from lib.params import Params
from lib.studies import load

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
        Of `lib.source_task.train`.
    probed : dict of str to Params
        Studies on whose films it is probed, by name.
    folder : Path
        Where the films of the probes are kept.

    Returns
    -------
    dict
        By study: `lib.source_probe.probe` of ``float`` and ``eight_bit``, and the ``difference`` of
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
    models.recalibrate_batch_norm(backbone, (x for x, *_ in batches(drawn, batch_size=32)))
    eight_bit.write(backbone, path)
    record.complete()  # so that it can be read; rewritten with the probes below
    probes = {}
    for name, params in probed.items():
        manifest = source_probe.prepare(params, Path(folder) / name)
        side = params.input_size[architecture]
        films = np.load(Path(folder) / name / f"images_{side}.npy", mmap_mode="r")
        train = np.flatnonzero(manifest["split"] == "train")
        found = {}
        for kind in ("float", "eight_bit"):
            judged = models.build_backbone(architecture, size=side)
            if kind == "float":
                judged.set_weights(backbone.get_weights())
            else:
                eight_bit.read_into(judged, path)
            values = source_probe.features(judged, films, train)
            found[kind] = source_probe.probe(values, manifest)
        change = found["eight_bit"]["macro_auc"] - found["float"]["macro_auc"]
        probes[name] = found | {"difference": change}
    keep = ["phase", "size", "films", "train_loss", "loss", "macro_auc", "measures_r2"]
    rounded = curve[[name for name in keep if name in curve]].round(4)
    record.complete(probes=probes, curve=rounded.to_dict("list"))
    return probes


def main(arguments: list[str] | None = None) -> int:
    """Command line; see the module."""
    parser = argparse.ArgumentParser(prog="python -m lib.source_weights_verb", description=__doc__)
    parser.add_argument("backbones", nargs="*", default=list(ARCHITECTURES))
    parser.add_argument("--root", type=Path, default=Path("results/source"), help="films, states")
    parser.add_argument("--out", type=Path, help="where the product goes (default: ROOT/out)")
    parser.add_argument("--real", default="", help="manifest of real films to probe too")
    parser.add_argument("--only-draw", action="store_true", help="draw the films and stop")
    options = parser.parse_args(arguments)

    def report(line: str) -> None:
        print(time.strftime("%H:%M:%S"), line, flush=True)

    folder = source_films.set_folder(options.root, films=FILMS, seed=SEED)
    if options.only_draw or not folder.exists():
        source_films.write_set(options.root, films=FILMS, seed=SEED, report=report)
    if options.only_draw:
        return 0
    source = source_films.open_set(folder)
    probed = {"phantom": load("phantom")}
    if options.real:
        probed["real"] = load("real", {"data": {"source": options.real}})
    for architecture in options.backbones:
        backbone, curve = source_task.train(
            architecture, source, options.root / architecture, seed=SEED, report=report
        )
        keras.config.set_dtype_policy("float32")
        float32 = models.build_backbone(architecture, size=backbone.input_shape[1])
        float32.set_weights(backbone.get_weights())
        probes = export(
            float32, architecture, options.out or options.root / "out", source=source, curve=curve,
            probed=probed, folder=options.root / "probe", seed=SEED,
        )  # fmt: skip
        report(f"{architecture}: {probes}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
