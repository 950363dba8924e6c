"""Figures made of pictures: films, maps and cases, from arrays to matplotlib figures.

Every picture fills a unit square, so that a film, its mask and its maps lie on each other whatever
their sizes. What is compared shares its colour range.
"""

import textwrap
from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from lib.attribution.arrays import blank_reason
from lib.drift.cases import Case
from lib.figures import style
from lib.figures.style import INK, ORANGE, SKY, SMALL, WIDTH
from lib.study.names import METHOD_TITLES

_OVER_FILM, _MID = 0.6, "0.5"  # opacity of a map over its film, grey behind colour bars
_UNIT = "Map, U = M / max M (0 to 1)"
SIDE = {"rotation": 0, "ha": "right", "va": "center", "fontsize": SMALL}


def _picture(ax) -> None:
    ax.grid(False)
    ax.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(1, 0), aspect="equal")


def _image(ax, values: np.ndarray, **options) -> None:
    ax.imshow(values, extent=(0, 1, 1, 0), **options)


def _film(ax, film: np.ndarray) -> None:
    _image(ax, film, cmap="gray", vmin=0, vmax=255)


def _outline(ax, mask: np.ndarray | None, **options) -> None:
    """Contour of a mask in the unit square; nothing where the mask has no border."""
    if mask is None or not np.any(mask) or np.all(mask):
        return
    centres = [(np.arange(cells) + 0.5) / cells for cells in mask.shape]
    ax.contour(centres[1], centres[0], np.asarray(mask, float), [0.5], **options)


def ground(ax, film: np.ndarray | None) -> None:
    """Prepare what maps lie on: the film, or a neutral grey."""
    _picture(ax)
    ax.set_facecolor("0.88")
    if film is not None:
        _film(ax, film)


def seen(values: np.ndarray) -> np.ndarray | None:
    """Return the map in double precision, or None where it is blank."""
    values = np.asarray(values)
    return None if blank_reason(values[None])[0] else values.astype(float)


def unit(values: np.ndarray | None) -> np.ndarray | None:
    """U = M / max(M) of a map that is not blank."""
    return None if values is None else values / values.max()


def map_image(ax, values: np.ndarray | None, **options) -> None:
    """Draw a map over the unit square; None is a blank map, which says so."""
    if values is None:
        box = {"facecolor": "white", "edgecolor": INK}
        ax.text(0.5, 0.5, "blank", ha="center", va="center", bbox=box)
    else:
        _image(ax, values, **options)


def _bar(figure: Figure, axes: np.ndarray, norm: Normalize, colours: str, **options) -> None:
    """A colour bar for maps, as opaque as they are."""
    options = {"ticks": MaxNLocator(2), "shrink": 0.9} | options
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=axes, **options)
    bar.ax.set_facecolor(_MID)


def _note(maps: Iterable[np.ndarray], interpolation: str, over_film: bool) -> str:
    """Say how cells became pixels."""
    grids = sorted({"{} × {}".format(*np.shape(values)) for values in maps})
    way = {"nearest": "nearest neighbour, not smoothed", "bilinear": "bilinear, hence smoothed"}
    note = f"Native grid of {' and '.join(grids)} cells, enlarged: {way[interpolation]}."
    bars = " Maps are 60 % opaque over the film, colour bars over mid-grey."
    return note + (bars if over_film else "")


def film_sheet(
    films: np.ndarray, *, labels: Sequence[str], lungs: np.ndarray | None = None,
    lesions: np.ndarray | None = None, ids: Sequence[str] | None = None,
) -> Figure:  # fmt: skip
    """Films by class, a row each; beside every film, its outlines where masks are given.

    Parameters
    ----------
    films : ndarray of uint8, shape (n, h, w)
    labels : sequence of str, shape (n,)
        Rows follow the order of first appearance; the index of a Series is ignored.
    lungs, lesions : ndarray of bool, shape (n, h, w), optional
    ids : sequence of str, shape (n,), optional
        Printed above the films.
    """
    labels, ids = np.asarray(labels), None if ids is None else list(ids)
    rows = {label: np.flatnonzero(labels == label) for label in dict.fromkeys(labels)}
    masks = [(lungs, "lung outline", SKY, 0.9), (lesions, "lesion outline", ORANGE, 1.8)]
    masks = [mask for mask in masks if mask[0] is not None]
    per_film = 2 if masks else 1
    columns = per_film * max(map(len, rows.values()))
    side = min(1.9, (WIDTH - 0.4) / columns)
    figure, axes = style.panels(
        len(rows), columns, width=max(4, side * columns + 0.4), margin=0.9 if masks else 0.5,
        height=side + (0.35 if ids is not None else 0.05),
        title="Films by class" + (", each with its outlines beside it" if masks else ""),
    )  # fmt: skip
    for ax in axes.flat:
        _picture(ax)
        ax.set_frame_on(False)
    for row, (label, members) in zip(axes, rows.items(), strict=True):
        row[0].set_ylabel(textwrap.fill(label.replace("_", " "), 14))
        for index, pair in zip(members, row.reshape(-1, per_film), strict=False):
            for ax in pair:
                _film(ax, films[index])
            if ids is not None:
                name = textwrap.fill(str(ids[index]), int(side * 14))
                pair[0].set_title(name, fontsize=SMALL)
            for stack, _, colour, width in masks:
                _outline(pair[-1], stack[index], colors=colour, linewidths=width)
    if masks:
        lines = [Line2D([], [], color=colour, lw=2 * width) for *_, colour, width in masks]
        style.legend(figure, lines, [title for _, title, *_ in masks])
    return figure


def case_sheet(
    cases: Sequence[Case], *, title: str, show_films: bool = True,
    names: tuple[str, str] = ("transfer", "fine-tuned"), interpolation: str = "nearest",
) -> Figure:  # fmt: skip
    """Draw maps of both checkpoints and their difference, a row per case.

    Maps are shown as U = M / max(M), differences as P_b - P_a with P = M / sum(M), each with one
    colour range over the whole sheet. A blank map says so and leaves the difference blank.

    Parameters
    ----------
    cases : sequence of Case
    title : str
    show_films : bool
        Whether films may be shown, in a column and under the maps.
    names : tuple of str
        The two checkpoints in words.
    interpolation : {"nearest", "bilinear"}
        How cells of the native grid become pixels; stands in the figure.

    Raises
    ------
    ValueError
        If there is no case or no such interpolation.
    """
    if not cases or interpolation not in ("nearest", "bilinear"):
        found = f"{len(cases)} cases, interpolation {interpolation!r}"
        raise ValueError(f"cases: found {found}; expected some, and 'nearest' or 'bilinear'.")
    heads = (*(("film",) if show_films else ()), *names, f"{names[1]} − {names[0]}")
    rows = [_before_after(case) for case in cases]
    limit = max((np.abs(row[2]).max() for row in rows if row[2] is not None), default=0) or 1
    norms = [Normalize(0, 1), Normalize(0, 1), Normalize(-limit, limit)]
    maps = ["magma", "magma", "PuOr"]
    halo = [withStroke(linewidth=2.8, foreground="black")]
    figure, axes = style.panels(
        len(cases), len(heads), width=1.6 + 2.1 * len(heads), height=1.95, title=title
    )
    alpha = _OVER_FILM if show_films else 1
    for case, row, values in zip(cases, axes, rows, strict=True):
        for ax in row:
            ground(ax, case.film if show_films else None)
        for ax, value, norm, colours in zip(row[-3:], values, norms, maps, strict=True):
            map_image(ax, value, cmap=colours, norm=norm, interpolation=interpolation, alpha=alpha)
        for ax in row:
            _outline(ax, case.lesion, colors="white", linewidths=1.3)
            for lines in ax.collections:
                lines.set_path_effects(halo)
        row[0].set_ylabel(case.caption.replace(" · ", "\n"), **SIDE)
    for ax, head in zip(axes[0], heads, strict=True):
        ax.set_title(head[0].upper() + head[1:])
    below = {"location": "bottom", "alpha": alpha}
    _bar(figure, axes[:, -3:-1], norms[0], maps[0], label=_UNIT, aspect=30, **below)
    change = "Change of the share of\nthe map's mass, per cell"
    _bar(figure, axes[:, -1:], norms[2], maps[2], label=change, aspect=15, **below)
    note = _note([case.map_a for case in cases], interpolation, show_films)
    outlined = any(case.lesion is not None and np.any(case.lesion) for case in cases)
    white = Line2D([], [], color="white", lw=1.3, path_effects=halo)
    style.legend(figure, [white][:outlined], ["lesion outline"][:outlined], note)
    return figure


def _before_after(case: Case) -> list[np.ndarray | None]:
    """U of both maps and the difference of their masses; None where blank."""
    a, b = seen(case.map_a), seen(case.map_b)
    difference = None if a is None or b is None else b / b.sum() - a / a.sum()
    return [unit(a), unit(b), difference]


def map_grid(
    maps: dict[tuple[str, str], np.ndarray], *, film: np.ndarray | None = None, title: str = ""
) -> Figure:
    """Draw all maps of one film, a row per layer role and a column per method.

    Every map is shown as U = M / max(M), at 60 % opacity over the film if there is one. A blank map
    says so; a cell of the grid without a map stays empty.

    Parameters
    ----------
    maps : dict of (role, method) to ndarray, shape (h, w)
        Raw maps ≥ 0 on their native grids.
    film : ndarray of uint8, shape (h, w), optional
        Also shown by itself in a first column. Without it the ground is neutral.
    title : str
        "" for the usual one.

    Raises
    ------
    ValueError
        If a method is unknown.
    """
    roles = style.roles_present(role for role, _ in maps)
    methods = style.present((method for _, method in maps), METHOD_TITLES, "method")
    heads = [*(() if film is None else ("Film",)), *(METHOD_TITLES[name] for name in methods)]
    figure, axes = style.panels(
        len(roles), len(heads), width=max(4.5, 1.6 + 2.1 * len(heads)), height=1.95,
        title=title or "One film's maps by layer and method",
    )  # fmt: skip
    norm, alpha = Normalize(0, 1), 1 if film is None else _OVER_FILM
    for role, row in zip(roles, axes, strict=True):
        for ax in row:
            ground(ax, film)
        grids = {np.shape(values) for (of, _), values in maps.items() if of == role}
        cells = " and ".join("{} × {}".format(*grid) for grid in sorted(grids))
        row[0].set_ylabel(f"{role}\n{cells} cells", **SIDE)
        for ax, method in zip(row[-len(methods) :], methods, strict=True):
            if (role, method) in maps:
                map_image(ax, unit(seen(maps[role, method])), cmap="magma", norm=norm, alpha=alpha)
            else:
                ax.set_visible(False)
    for ax, head in zip(axes[0], heads, strict=True):
        ax.set_title(head)
    _bar(figure, axes, norm, "magma", label=_UNIT, aspect=15 * len(roles), alpha=alpha)
    style.legend(figure, [], [], _note(maps.values(), "nearest", film is not None))
    return figure


def image_rows(
    images: np.ndarray, labels: Sequence[int], *, rows: int, columns: int, title: str
) -> Figure:
    """Draw the first images of the first categories, a row each.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, h, w)
    labels : sequence of int, shape (n,)
        Category of each image.
    rows, columns : int
        Most categories, and images of each.
    title : str
    """
    labels = np.asarray(labels)
    chosen, counts = np.unique(labels, return_counts=True)
    chosen, columns = chosen[:rows], min(columns, counts[:rows].max())
    side = min(1.2, (WIDTH - 1) / columns)
    figure, axes = style.panels(
        len(chosen), columns, width=max(4, side * columns + 1), height=side, margin=0.5, title=title
    )
    for label, row in zip(chosen, axes, strict=True):
        for ax in row:
            _picture(ax)
            ax.set_frame_on(False)
        for ax, index in zip(row, np.flatnonzero(labels == label), strict=False):
            _film(ax, images[index])
        row[0].set_ylabel(f"category {label}", **SIDE)
    return figure
