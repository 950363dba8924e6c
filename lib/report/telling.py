"""The figures of the first page: how far the maps moved, and one case out of the browser's data."""

import base64
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.figures import answer, appendix, style
from lib.report.digest import PRIMARY
from lib.report.phrases import CELL
from lib.study.names import METHOD_TITLES


def _value(file: Path) -> dict:
    text = file.read_text(encoding="ascii")
    return json.loads(text[text.index(",") + 1 : text.rindex(")")])


def _unpacked(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(gzip.decompress(base64.b64decode(text)), kind)


def draw(cases: Path, target: Path) -> str:
    """Draw film, map before and map after of the case that overlaps least in `CELL`.

    Of what `lib.report.browser.write_cases` wrote: the first architecture and its first
    fine-tuning; the films of the common support, or all where it is empty.
    Returns what is seen, for readers; "" where the study has no such case, and nothing is drawn.
    """
    index = _value(cases / "index.js")
    facts = index["architectures"][0]
    wanted = next((p for p in facts["pairs"] if p[0] == "finetune"), None)
    cells = [cell[:2] for cell in facts["cells"]]
    place = cells.index(list(CELL.values())) if list(CELL.values()) in cells else None
    metrics = [name for name, *_ in index["metrics"]]
    if wanted is None or place is None or PRIMARY not in metrics:
        return ""
    films = len(index["labels"])
    pair = _value(cases / f"shard-{wanted[4]}.js")
    number = place * len(metrics) + metrics.index(PRIMARY)
    codes = _unpacked(pair["values"], "<u2").reshape(-1, films)[number]
    known = codes != codes.dtype.type(65535)
    counted = known & np.array(index["common"], bool)
    counted = counted if counted.any() else known
    if not counted.any():
        return ""
    chosen = int(np.where(counted, codes, 65535).argmin())
    low, step = pair["scales"][number]
    ends = np.cumsum([films * height * width for *_, height, width in facts["cells"]])
    maps = {}
    for caption, name in (("Before", wanted[1]), ("After", wanted[2])):
        values = _unpacked(_value(cases / f"shard-{facts['checkpoints'][name]}.js")["maps"], "u1")
        stack = np.split(values, ends[:-1])[place].reshape(films, *facts["cells"][place][2:])
        maps[caption] = stack[chosen].astype(float)
    file = cases / f"films/{chosen}.jpg"
    film = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) if index["films"] else None
    _save(appendix.strip, target, maps, title="", film=film)
    label = index["classes"][index["labels"][chosen]].replace("_", " ")
    return (
        f"The case whose maps overlap least ({low + step * int(codes[chosen]):.2f}): a film of the "
        f"class {label}, {facts['title']}, {METHOD_TITLES[CELL['method']]} at the pooled map, "
        f"before ({wanted[1]}) and after ({wanted[2]})."
    )


def draw_way(moved: pd.DataFrame, target: Path, *, marked: style.Marked = ()) -> None:
    """Draw how far the maps moved, of `lib.report.words.way`; `target` has no ending."""
    _save(answer.way, target, moved, panel=tuple(CELL.values()), marked=marked)


def _save(figure: Callable[..., Figure], target: Path, *values, **options) -> None:
    style.style()
    style.save(figure(*values, **options), target)
    target.with_suffix(".svg").unlink()  # a page shows the picture alone
