"""What one film shows without any anatomy: exposure, border, sharpness, and how it was saved."""

import cv2
import numpy as np

from lib.duplicates import perceptual_hash

SIDE, BORDER = 256, 0.05
INTENSITY = ("mean", "sd", "darkest", "median", "brightest", "black", "white")
BORDER_MEASURES = ("border_mean", "border_sd", "border_black", "border_white")
NUMBERS = (*INTENSITY, *BORDER_MEASURES, "blur")
HEADER = ("format", "bits", "colour", "bytes")
COLUMNS = (*HEADER, *NUMBERS, "phash")


def measure(film, shown, size):
    """Measure one film.

    Intensities are grey levels, 0 to 255, of the film shrunk to 256 x 256 pixels, so that a large
    film is not sharper or noisier for its size.

    Parameters
    ----------
    film : lib.pixels.Film
        As decoded.
    shown : numpy.ndarray
        (h, w) uint8: its grey levels at 8 bits.
    size : int
        Bytes of the file.

    Returns
    -------
    dict
        ``format``, ``bits`` (8 or 16), ``colour`` (bool), ``bytes`` (of the file);
        ``mean``, ``sd``, ``darkest`` and ``brightest`` (percentiles 1 and 99), ``median``,
        ``black`` and ``white`` (shares at most 5, at least 250); the same of the frame of a
        twentieth of each side, ``border_mean``, ``border_sd``, ``border_black``, ``border_white``;
        ``blur`` (log10 of 1 plus the variance of the Laplacian: high is sharp, Pech-Pacheco et al.
        2000); ``phash``.
    """
    small = cv2.resize(shown, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    edge = round(SIDE * BORDER)
    inside = np.zeros(small.shape, bool)
    inside[edge:-edge, edge:-edge] = True
    border = small[~inside]
    percentiles = np.percentile(small, [1, 50, 99])
    return {
        "format": film.format,
        "bits": 8 * film.grey.dtype.itemsize,
        "colour": bool(film.colour),
        "bytes": int(size),
        "mean": float(small.mean()),
        "sd": float(small.std()),
        **dict(zip(("darkest", "median", "brightest"), map(float, percentiles), strict=True)),
        "black": float((small <= 5).mean()),
        "white": float((small >= 250).mean()),
        "border_mean": float(border.mean()),
        "border_sd": float(border.std()),
        "border_black": float((border <= 5).mean()),
        "border_white": float((border >= 250).mean()),
        "blur": float(np.log10(1 + cv2.Laplacian(small, cv2.CV_64F).var())),
        "phash": perceptual_hash(shown),
    }
