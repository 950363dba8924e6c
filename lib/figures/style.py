"""How figures look: one colour, marker and hatch per thing, style, saving, shared parts.

A colour always means the same: one per architecture, one per pairing, and none stands alone, since
a marker, hatch or line style repeats it.
"""

import re
import textwrap
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython import get_ipython
from IPython.core.pylabtools import select_figure_formats
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from lib.drift.metrics import metric_label
from lib.evidence.faithfulness import MARK, NOTE, Cell
from lib.study.architectures import ROLES
from lib.study.artefacts import atomic
from lib.study.names import ARCHITECTURE_TITLES, METHOD_TITLES, PAIRING_TITLES, STAGE_TITLES

_SVG = {"svg.hashsalt": "evidence", "svg.fonttype": "none"}
WIDTH, SMALL, INK = 10.0, 8, "0.25"  # inches of the widest figure, points, grey of lines
_COLOURS, _BLACK = sns.color_palette("colorblind").as_hex(), "#1a1a1a"
_BLUE, ORANGE, _GREEN, _VERMILION, _PINK, BROWN, _LIGHT, _GREY, _YELLOW, SKY = _COLOURS
# Beyond the ten of the palette:
_OLIVE, _LILAC, _PURPLE, _TEAL, _SLATE = "#6b6b00", "#b2abd2", "#5e3c99", "#1b7f79", "#4a5a78"

Marked = Collection[Cell]
"""Maps, by architecture, role and method, that are not shown to be more faithful than random ones
(`lib.evidence.faithfulness.unfaithful`): what shows their drift has a mark."""


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
    "randomised": Look(PAIRING_TITLES["randomised"], BROWN, "P", hatch="++"),
    "ceiling": Look(PAIRING_TITLES["ceiling"], _YELLOW, "o", hatch="\\\\\\\\"),
}
_OF_STAGE = {"transfer": "transfer_seeds", "repeat": "explainer"}
STAGE = {
    name: replace(PAIRING[_OF_STAGE.get(name, name)], title=title, hatch="")
    for name, title in STAGE_TITLES.items()
}
"""A stage looks like the pairing in which it is compared with the transfer checkpoint."""
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

    A missing end has no whisker.
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
    methods = present(table["method"], METHOD_TITLES, "method")
    architectures = present(table["architecture"], ARCHITECTURE, "architecture")
    return roles_present(table["role"]), methods, architectures


def facet_grid(
    table: pd.DataFrame, *, title: str, left: float = 1.2, each: float = 2.7, base: float = 0.7,
    row: float = 0.35, small: bool = True, sharex: bool = True,
) -> tuple[Figure, np.ndarray, list[tuple], list[str]]:  # fmt: skip
    """Panels with their titles, a row per role and a column per method of a table.

    They are `left` + `each` × methods inches wide, a row `base` + `row` × architectures high.
    Returns figure, axes, (axes, role, method) of every panel, and the architectures.
    """
    roles, methods, architectures = facets(table)
    figure, axes = panels(
        len(roles), len(methods), width=max(5.5, left + each * len(methods)), title=title,
        height=base + row * len(architectures), sharex=sharex, sharey=True,
    )  # fmt: skip
    places = [(ax, roles[i], methods[j]) for (i, j), ax in np.ndenumerate(axes)]
    for ax, role, method in places:
        ax.set_title(f"{role} · {METHOD_TITLES[method]}", **({"fontsize": 9} if small else {}))
    return figure, axes, places, architectures


def of_metric(table: pd.DataFrame, metric: str, column: str = "metric") -> pd.DataFrame:
    """Rows of one metric; raise ValueError, naming those that there are, if there is none."""
    rows = table[table[column] == metric]
    if rows.empty:
        available = sorted(table[column].unique())
        raise ValueError(f"{column}: found {metric!r}; expected one of {available}.")
    return rows


def once(table: pd.DataFrame, keys: list[str], name: str, choice: str) -> None:
    """Raise ValueError, naming the first, if a table has a row of `keys` twice."""
    if (again := table.duplicated(keys)).any():
        found = table.loc[again, keys].iloc[0].to_dict()
        raise ValueError(f"{name}: found {found} twice; expected once: select one {choice}.")


def rows_of_architectures(
    ax, architectures: Sequence[str], panel: tuple[str, str] = ("", ""), marked: Marked = ()
) -> None:
    """A row for each architecture of the panel, its role and method; the first is on top."""
    mark(ax, [(y, [(name, *panel)]) for y, name in enumerate(architectures)], marked)
    ax.set_yticks(range(len(architectures)), titles(ARCHITECTURE, architectures))
    ax.set_ylim(len(architectures) - 0.5, -0.5)
    ax.grid(False, axis="y")


def mark(ax, rows: Iterable[tuple[float, Iterable[Cell]]], marked: Marked) -> None:
    """Put `MARK` to the right of the rows, (height, cells), whose maps are marked."""
    for y, cells in rows:
        if sign(cells, marked):
            ax.text(1.01, y, MARK, transform=ax.get_yaxis_transform(), va="center")


def sign(cells: Iterable[Cell], marked: Marked) -> str:
    """`MARK` if the maps of one of the cells are marked, else nothing."""
    return MARK if any(cell in marked for cell in cells) else ""


def no_value(ax, y: float) -> None:
    """Say in a row of a panel that there is nothing to draw."""
    place = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": SMALL}
    ax.text(0.03, y, "no value", color=INK, **place)


def estimate(ax, y: float, value, ends, count, look: Look, *, width=1.2, **options) -> None:
    """Draw a value with whiskers of lengths `ends` to both sides; a missing one tells its count."""
    if np.isnan(value):
        place = {"transform": ax.get_yaxis_transform(), "va": "center"}
        ax.text(0.02, y, f"n = {count:g}", fontsize=SMALL, **place)
        return
    whisker = {"xerr": np.reshape(np.nan_to_num(ends), (2, 1)), "ecolor": INK, "elinewidth": width}
    ax.errorbar(value, y, **whisker, **dot(look, size=6), **options)


def bar(ax, y: float, length: float, start: float, look: Look) -> None:
    """Draw a part of a stacked bar."""
    box = {"color": look.colour, "hatch": look.hatch, "edgecolor": INK, "lw": 0.6}
    ax.barh(y, length, left=start, **box)


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
    """Let all figures of this process take an audit's architecture, methods and pairings too."""
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
    options |= {"figsize": (width, height * rows + margin), "layout": "constrained"}
    figure, axes = plt.subplots(rows, columns, squeeze=False, **options)
    plt.close(figure)  # the caller owns it: a notebook must not show it twice
    figure.suptitle(textwrap.fill(title, int(width * 11)))
    return figure, axes


def legend(
    figure: Figure, handles: Sequence, labels: Sequence[str], note: str = "", marked: Marked = ()
) -> None:
    """Put a legend below the panels, in rows of equal length, headed by a note."""
    width = figure.get_figwidth()
    each = max(1.9, 0.6 + 0.068 * max(map(len, labels), default=0))  # inches, for the longest label
    rows = ceil(len(handles) / max(1, int(width / each))) or 1
    note = textwrap.fill(note + (f" {NOTE}" if marked else ""), int(width * 14)) or None
    figure.legend(
        handles, labels, loc="outside lower center", ncols=max(1, ceil(len(handles) / rows)),
        title=note, title_fontsize=SMALL, frameon=False,
    )  # fmt: skip


def key(looks: dict[str, Look], names: Iterable[str], **options) -> tuple[list, list[str]]:
    """Markers and titles of some looks, for a legend."""
    marks = [Line2D([], [], **dot(looks[name], **options)) for name in names]
    return marks, titles(looks, names)


def patches(looks: Collection[Look]) -> tuple[list, list[str]]:
    """Boxes and titles of some looks, for a legend."""
    boxes = [Patch(facecolor=look.colour, edgecolor=INK, hatch=look.hatch) for look in looks]
    return boxes, [look.title for look in looks]


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
