"""Figures of the notebook that explains attribution: one film, taken apart."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from lib.attribution.formulas import layercam
from lib.figures import style
from lib.figures.pictures import ground, map_image, seen, unit

_SIDE = {"rotation": 0, "ha": "right", "va": "center", "fontsize": style.SMALL}


def strip(maps: Mapping[str, np.ndarray], *, title: str, film: np.ndarray | None = None) -> Figure:
    """Maps of one film side by side, each as U = M / max(M); a blank map says so.

    Parameters
    ----------
    maps : mapping of caption to ndarray of float, shape (rows, columns), non-negative
    title : str
    film : ndarray of uint8, shape (h, w), optional
        Shown first and under the maps.
    """
    shown = [*(() if film is None else [("Film", None)]), *maps.items()]
    figure, axes = style.panels(
        1, len(shown), width=max(4.5, 1.9 * len(shown)), height=1.9, title=title
    )
    for ax, (caption, values) in zip(axes[0], shown, strict=True):
        ground(ax, film)
        if values is not None:
            alpha = 1 if film is None else 0.6
            map_image(ax, unit(seen(values)), cmap="magma", vmin=0, vmax=1, alpha=alpha)
        ax.set_title(caption, fontsize=style.SMALL)
    return figure


def channels(
    activations: np.ndarray, gradients: np.ndarray, *, title: str, most: int = 3
) -> Figure:
    """How LayerCAM comes about: the channels that add most, and their sum.

    Parameters
    ----------
    activations, gradients : ndarray of float, shape (h, w, K)
        A and g of one film at one layer.
    title : str
    most : int
        Number of channels.

    Notes
    -----
    A row per channel: A, g and A·ReLU(g), every column in one colour range that is symmetric about
    0 (blue below, red above). The last row is the map, ReLU of the sum over all channels.
    """
    parts = activations * np.maximum(gradients, 0)
    chosen = np.argsort(-np.abs(parts.sum(axis=(0, 1))), kind="stable")[:most]
    columns = {"A": activations, "g": gradients, "A · ReLU(g)": parts}
    figure, axes = style.panels(most + 1, 3, width=6.2, height=1.6, title=title)
    for j, (caption, values) in enumerate(columns.items()):
        limit = np.abs(values[..., chosen]).max() or 1.0
        for i, channel in enumerate(chosen):
            ground(axes[i, j], None)
            map_image(axes[i, j], values[..., channel], cmap="RdBu_r", vmin=-limit, vmax=limit)
            axes[i, 0].set_ylabel(f"channel\n{channel}", **_SIDE)
        axes[0, j].set_title(f"{caption} (±{limit:.2g})", fontsize=style.SMALL)
    for ax in axes[-1, :2]:
        ax.set_visible(False)
    ground(axes[-1, 2], None)
    whole = layercam(activations[None], gradients[None])[0]
    map_image(axes[-1, 2], unit(seen(whole)), cmap="magma", vmin=0, vmax=1)
    axes[-1, 2].set_title(f"LayerCAM: all {activations.shape[-1]} channels", fontsize=style.SMALL)
    return figure
