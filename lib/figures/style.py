"""How figures look: one colour, marker and hatch per thing, style, saving, shared parts.

A colour always means the same: one per architecture, one per pairing, and none stands alone, since
a marker, hatch or line style repeats it.
"""

import re
import textwrap
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython import get_ipython
from IPython.core.pylabtools import select_figure_formats
from matplotlib.figure import Figure

from lib.drift.metrics import metric_label
from lib.evidence.faithfulness import MARK, NOTE, Cell
from lib.study.architectures import ROLES
from lib.study.artefacts import atomic
from lib.study.names import ARCHITECTURE_TITLES, METHOD_TITLES, PAIRING_TITLES, STAGE_TITLES

_SVG = {"svg.hashsalt": "evidence", "svg.fonttype": "none"}
WIDTH, SMALL, INK = 10.0, 8, "0.25"  # inches of the widest figure, points, grey of lines
_COLOURS, _BLACK = sns.color_palette("colorblind").as_hex(), "#1a1a1a"
_BLUE, ORANGE, _GREEN, _VERMILION, _PINK, _BROWN, _LIGHT, _GREY, _YELLOW, SKY = _COLOURS
_OLIVE, _LILAC, _PURPLE, _TEAL, _SLATE = (
    "#6b6b00",
    "#b2abd2",
    "#5e3c99",
    "#1b7f79",
    "#4a5a78",
)  # beyond the ten of the palette


@dataclass(frozen=True)
class Look:
    """How one architecture, pairing or stage is named and drawn in every figure."""

    title: str
    colour: str
    marker: str
    line: str = "-"
    hatch: str = ""


ARCHITECTURE = {
    "densenet201": Look(ARCHITECTURE_TITLES["densenet201"], _BLUE, "o", "-"),
    "resnet50v2": Look(ARCHITECTURE_TITLES["resnet50v2"], ORANGE, "s", "--"),
    "inceptionv3": Look(ARCHITECTURE_TITLES["inceptionv3"], _GREEN, "D", "-."),
}
PAIRING = {
    "finetune": Look(PAIRING_TITLES["finetune"], _VERMILION, "D"),
    "corrected": Look(PAIRING_TITLES["corrected"], _LIGHT, "d", hatch="\\\\////"),
    "placebo": Look(PAIRING_TITLES["placebo"], SKY, "s", hatch="////"),
    "shuffled": Look(PAIRING_TITLES["shuffled"], _TEAL, "p", hatch="--"),
    "restarted": Look(PAIRING_TITLES["restarted"], _SLATE, "h", hatch="xxxx"),
    "perturbed": Look(PAIRING_TITLES["perturbed"], _OLIVE, "X", hatch="||||"),
    "head_only": Look(PAIRING_TITLES["head_only"], _LILAC, "<", hatch="----"),
    "features_only": Look(PAIRING_TITLES["features_only"], _PURPLE, ">", hatch="oo"),
    "finetune_seeds": Look(PAIRING_TITLES["finetune_seeds"], _PINK, "^", hatch="...."),
    "transfer_seeds": Look(PAIRING_TITLES["transfer_seeds"], _GREY, "v", hatch="xx"),
    "explainer": Look(PAIRING_TITLES["explainer"], _BLACK, "*", hatch="**"),
    "randomised": Look(PAIRING_TITLES["randomised"], _BROWN, "P", hatch="++"),
    "ceiling": Look(PAIRING_TITLES["ceiling"], _YELLOW, "o", hatch="\\\\\\\\"),
}
STAGE = {
    "transfer": Look(STAGE_TITLES["transfer"], _GREY, "v"),
    "placebo": Look(STAGE_TITLES["placebo"], SKY, "s"),
    "finetune": Look(STAGE_TITLES["finetune"], _VERMILION, "D"),
    "corrected": Look(STAGE_TITLES["corrected"], _LIGHT, "d"),
    "shuffled": Look(STAGE_TITLES["shuffled"], _TEAL, "p"),
    "restarted": Look(STAGE_TITLES["restarted"], _SLATE, "h"),
    "repeat": Look(STAGE_TITLES["repeat"], _BLACK, "*"),
    "randomised": Look(STAGE_TITLES["randomised"], _BROWN, "P"),
}
AUDIT = {"change": Look(PAIRING_TITLES["change"], _VERMILION, "D")}
"""Pairings of an audit of two checkpoints, beside the controls of `PAIRING`."""


def style() -> None:
    """Set the look of all figures: print-sized fonts, a font that matplotlib brings along."""
    sns.set_theme("paper", "whitegrid", "colorblind", font="DejaVu Sans", rc=_SVG)
    if shell := get_ipython():  # a notebook shows figures whatever MPLBACKEND says
        select_figure_formats(shell, {"png"})


def slots(count: int, total: float = 0.8) -> np.ndarray:
    """Offsets of `count` neighbours around the middle of a group of width `total`."""
    return (np.arange(count) - (count - 1) / 2) * total / count


def save(figure: Figure, path_without_suffix: Path) -> None:
    """Write the figure as ``.png`` (150 dpi) and ``.svg``, the same bytes every time; close it."""
    folder, name = Path(path_without_suffix).parent, Path(path_without_suffix).name
    for suffix, unset in (("png", ("Software",)), ("svg", ("Date", "Creator"))):
        with plt.rc_context(_SVG), atomic(folder / f"{name}.{suffix}") as temporary:
            figure.savefig(temporary, dpi=150, metadata=dict.fromkeys(unset))
    plt.close(figure)


def two_lines(label: str) -> str:
    """Break a label before its unit."""
    return label.replace(" (", "\n(")


def possible(metric: str) -> tuple[float, float]:
    """Lowest and highest value that a metric can have, as its label states; a share is 0 to 1."""
    found = re.search(r"\((.\d|\d) to (\d)\)", metric_label(metric))
    return tuple(float(end.replace("−", "-")) for end in found.groups()) if found else (0.0, 1.0)


def whiskers(mean, low, high, metric: str) -> np.ndarray:
    """Lengths of whiskers to both sides, shape (2, n), cut where no mean of a metric can be.

    Parameters
    ----------
    mean, low, high : array of shape (n,)
        Missing ends have no whisker.
    metric : str
        Name from `lib.drift.metrics.METRICS`.
    """
    low, high = np.clip([low, high], *possible(metric))
    return np.nan_to_num(np.array([mean - low, high - mean])).clip(min=0)


def present(values: Iterable[str], known: dict, name: str) -> list[str]:
    """List the values that occur, in the order of `known`."""
    found = set(values)
    if not found or not found <= set(known):
        expected = f"expected some of {list(known)} (the looks defined in lib/figures/style.py)"
        raise ValueError(f"{name}: found {sorted(map(str, found))}; {expected}.")
    return [value for value in known if value in found]


def facets(table: pd.DataFrame) -> tuple[list[str], list[str], list[str]]:
    """Roles, methods and architectures of a table in their order: rows, columns and groups."""
    return (
        roles_present(table["role"]),
        present(table["method"], METHOD_TITLES, "method"),
        present(table["architecture"], ARCHITECTURE, "architecture"),
    )


def of_metric(table: pd.DataFrame, metric: str, column: str = "metric") -> pd.DataFrame:
    """Rows of one metric; raise ValueError, naming those that there are, if there is none."""
    rows = table[table[column] == metric]
    if rows.empty:
        available = sorted(table[column].unique())
        raise ValueError(f"{column}: found {metric!r}; expected one of {available}.")
    return rows


def rows_of_architectures(
    ax, architectures: Sequence[str], panel: tuple[str, str] = ("", ""),
    marked: Collection[Cell] = (),
) -> None:  # fmt: skip
    """A row of the panel for each architecture, the first on top.

    `panel` is its role and method; rows of maps that are `marked` have their mark.
    """
    mark(ax, [(y, [(name, *panel)]) for y, name in enumerate(architectures)], marked)
    ax.set_yticks(range(len(architectures)), titles(ARCHITECTURE, architectures))
    ax.set_ylim(len(architectures) - 0.5, -0.5)
    ax.grid(False, axis="y")


def mark(ax, rows: Iterable[tuple[float, Iterable[Cell]]], marked: Collection[Cell]) -> None:
    """Put `MARK` to the right of the rows that show the drift of maps no better than random ones.

    Parameters
    ----------
    rows : iterable of (height, cells)
        Where a row lies, and the architecture, role and method of the maps that it shows.
    marked : collection of (architecture, role, method)
        Of `lib.evidence.faithfulness.unfaithful`.
    """
    for y, cells in rows:
        if sign(cells, marked):
            ax.text(1.01, y, MARK, transform=ax.get_yaxis_transform(), va="center")


def sign(cells: Iterable[Cell], marked: Collection[Cell]) -> str:
    """`MARK` if the maps of one of the cells are marked, else nothing."""
    return MARK if any(cell in marked for cell in cells) else ""


def marked_note(marked: Collection[Cell]) -> str:
    """What `MARK` means, for a legend; nothing where no maps are marked."""
    return f" {NOTE}" if marked else ""


def outer_labels(axes: np.ndarray, x: str, y: str) -> None:
    """Label the axes at the left and the bottom of a grid of panels."""
    for ax in axes[:, 0]:
        ax.set_ylabel(y)
    for ax in axes[-1]:
        ax.set_xlabel(x)


def tell_shares(ax, shares: np.ndarray, texts: np.ndarray) -> None:
    """Write a text into every square of an image of shares in cividis, readable on its ground."""
    for (row, column), share in np.ndenumerate(shares):
        colour = INK if np.isnan(share) else "black" if share > 0.5 else "white"
        text = {"ha": "center", "va": "center", "fontsize": SMALL, "color": colour}
        ax.text(column, row, texts[row, column], **text)


def introduce(architecture: str, methods: Iterable[str] = ()) -> None:
    """Let all figures of this process take what an audit has beside what the study has.

    These are its architecture, the methods of other frameworks and the pairings of `AUDIT`.
    """
    ARCHITECTURE.setdefault(architecture, Look(architecture, INK, "P", ":"))
    for method in methods:
        METHOD_TITLES.setdefault(method, method)
    PAIRING.update(AUDIT)


def roles_present(values: Iterable[str]) -> list[str]:
    """List the layers that occur: the roles in their order, then other layers by name."""
    found = set(values)
    return [*(role for role in ROLES if role in found), *sorted(found - set(ROLES))]


def panels(rows, columns, *, width, height, title, margin=1.3, **options):
    """Figure and its axes, shape (rows, columns); inches, `height` per row, `margin` for all."""
    width = min(WIDTH, width)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(width, height * rows + margin),
        layout="constrained",
        squeeze=False,
        **options,
    )
    plt.close(figure)  # the caller owns it: a notebook must not show it twice
    figure.suptitle(textwrap.fill(title, int(width * 11)))
    return figure, axes


def legend(figure: Figure, handles: Sequence, labels: Sequence[str], note: str = "") -> None:
    """Put a legend below the panels, in rows of equal length, headed by a note."""
    width = figure.get_figwidth()
    each = max(1.9, 0.6 + 0.068 * max(map(len, labels), default=0))  # inches, for the longest label
    rows = ceil(len(handles) / max(1, int(width / each))) or 1
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=max(1, ceil(len(handles) / rows)),
        title=textwrap.fill(note, int(width * 14)) or None,
        title_fontsize=SMALL,
        frameon=False,
    )


def dot(look: Look, *, size: float = 7, **options) -> dict:
    """Options of a marker without a line."""
    edge = {"markeredgecolor": INK, "markeredgewidth": 0.8}
    marks = {"marker": look.marker, "color": look.colour, "markersize": size}
    return marks | edge | {"linestyle": "none"} | options


def hollow(look: Look, *, size: float = 16) -> dict:
    """Options of a line whose markers are white inside, with room for a number."""
    line = {"color": look.colour, "linestyle": look.line, "marker": look.marker}
    return line | {"markersize": size, "markerfacecolor": "white", "markeredgewidth": 2}


def titles(looks: dict[str, Look], names: Iterable[str]) -> list[str]:
    """Titles of some looks, for a legend."""
    return [looks[name].title for name in names]
