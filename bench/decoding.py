"""Films to the memory map, and from it to the training step.

Budgets: decoding at 0.9 × the throughput of a bare parallel loop of OpenCV over the same files
(which checks, hashes and lists nothing); peak memory at most 1.2 × for ten times as many films; and
batches at least as fast as the training step that takes them. The row with measures says what the
audit costs on top. The films
to decode are phantoms, half PNG and half JPEG.
"""

import resource
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from bench import in_turns, memory_line, verdict
from lib.data import cache
from lib.data.audit.measures import measure
from lib.data.phantoms.draw import draw

SIZES, SIDE, BUDGET = (160, 203), 1024, 0.9


def write_films(folder: Path, count: int) -> pd.DataFrame:
    """Write a few phantoms under many names; the index that lists them."""
    kinds = [
        cv2.imencode(suffix, draw("normal", patient_seed=n, image_seed=n, size=SIDE).image)[1]
        for n, suffix in enumerate((".png", ".jpg") * 2)
    ]
    names = [f"{number}.film" for number in range(count)]
    for number, name in enumerate(names):
        (folder / name).write_bytes(kinds[number % len(kinds)].tobytes())
    table = pd.DataFrame({"image_id": names, "file": names, "label": "normal"})
    return table.assign(patient_id=names, patient_known=True, split="")


def bare(folder: Path, index: pd.DataFrame) -> None:
    """Decode and shrink, nothing else."""

    def squares(name):
        film = cv2.imread(str(folder / name), cv2.IMREAD_GRAYSCALE)
        return [cv2.resize(film, (size, size), interpolation=cv2.INTER_AREA) for size in SIZES]

    with ThreadPoolExecutor() as pool:
        for _ in pool.map(squares, index["file"]):
            pass


def cached(folder: Path, index: pd.DataFrame, **options) -> None:
    """The study's own way."""
    cache.build(index, folder, sizes=SIZES, aspect="squash", folder=folder / "cache", **options)


def decoding(count: int = 480) -> None:
    """Print two lines."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        index = write_films(folder, count)
        loop, ours, measured = in_turns(
            lambda: bare(folder, index),
            lambda: cached(folder, index),
            lambda: cached(folder, index, measure=measure),
            times=5,
        )
    print(f"decoding: {count} films of {SIDE} px, to {SIZES} px")
    print(f"  OpenCV alone {count / loop:.0f} films/s")
    print(f"  checked and cached {count / ours:.0f} films/s, {verdict(loop / ours, BUDGET)}")
    print(f"  and measured {count / measured:.0f} films/s, ratio {loop / measured:.2f}")


def training(count: int = 128, batch_size: int = 8, size: int = 160) -> None:
    """Print two lines: batches against the training step, plain and with augmentation."""
    from lib.data.batches import Films, batches
    from lib.models import backbones
    from lib.models import training as stages
    from lib.study.params import Augmentation, Runtime

    runtime = Runtime()
    backbones.configure(runtime, seed=0)
    model = backbones.build("resnet50v2", size=size, classes=5)
    backbones.set_trainable(model, from_stage=1)
    steps = count // batch_size
    stages.compile_model(model, stages.Schedule(1, 1e-4), steps_per_epoch=steps, runtime=runtime)
    strong = Augmentation(
        rotation_degrees=7, translation=0.05, zoom=0.05, brightness=0.05, contrast=0.1
    )
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "images.npy"
        np.save(path, np.random.default_rng(0).integers(0, 256, (count, size, size), np.uint8))
        data = Films(cache.load(path), np.arange(count), np.arange(count) % 5)

        def films(augmentation=None):
            return batches(data, batch_size=batch_size, shuffle_seed=1, augmentation=augmentation)

        def walk(augmentation=None):
            for _ in films(augmentation):
                pass

        step, plain, distorted = in_turns(
            lambda: model.fit(films(), verbose=0, shuffle=False),
            walk,
            lambda: walk(strong),
        )
    print(f"training: resnet50v2 at {size} px, batches of {batch_size}")
    print(f"  step {count / step:.1f} films/s, memory map {count / plain:.0f} films/s,", end=" ")
    print(verdict(step / plain, 1))
    print(f"  with augmentation {count / distorted:.0f} films/s, {verdict(step / distorted, 1)}")


def main() -> None:
    """Print all lines."""
    decoding()
    print(" ", memory_line("bench.decoding", "memory", few=64))
    training()


def decode_only(count: int) -> None:
    """Decode films and print the peak memory of this process in MiB."""
    with tempfile.TemporaryDirectory() as name:
        index = write_films(Path(name), count)
        cached(Path(name), index, measure=measure)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    decode_only(int(sys.argv[1])) if len(sys.argv) > 1 else main()
