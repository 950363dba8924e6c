"""What one film shows without any anatomy: exposure, border, sharpness, and how it was saved."""

import cv2
import numpy as np

from lib.data.audit.duplicates import perceptual_hash

SIDE, BORDER = 256, 0.05
INTENSITY = ("mean", "sd", "darkest", "median", "brightest", "black", "white")
BORDER_MEASURES = ("border_mean", "border_sd", "border_black", "border_white")
NUMBERS = (*INTENSITY, *BORDER_MEASURES, "blur")
HEADER = ("format", "bits", "colour", "bytes")
COLUMNS = (*HEADER, *NUMBERS, "phash")


def measure(film, shown, size, treated):
    """Measure one film.

    Intensities are grey levels, 0 to 255, of the film that a model is shown, shrunk to 256 x 256
    pixels, so that a large film is not sharper or noisier for its size.

    Parameters
    ----------
    film, shown
        A `lib.data.films.film.Film`, and its grey levels at 8 bits, (h, w).
    size : int
        Bytes of the file.
    treated : numpy.ndarray
        (h', w') uint8: the film after its remedies, see `films.treat.apply`. The perceptual hash is
        that of `shown`, so that remedies leave duplicates and splits alone.

    Returns
    -------
    dict
        By `COLUMNS`: ``bytes`` of the file, ``bits`` 8 or 16; ``darkest`` and ``brightest`` the
        percentiles 1 and 99, ``black`` and ``white`` the shares at most 5 and at least 250, and the
        same of the frame of a twentieth of each side, ``border_mean`` and so on; ``blur`` log10 of
        1 plus the variance of the Laplacian: high is sharp (Pech-Pacheco et al. 2000).
    """
    small = cv2.resize(treated, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    edge = round(SIDE * BORDER)
    inside = np.zeros(small.shape, bool)
    inside[edge:-edge, edge:-edge] = True
    whole, border = (_levels(part) for part in (small, small[~inside]))
    return {
        "format": film.format,
        "bits": 8 * film.grey.dtype.itemsize,
        "colour": bool(film.colour),
        "bytes": int(size),
        **{name: whole[name] for name in INTENSITY},
        **{f"border_{name}": border[name] for name in ("mean", "sd", "black", "white")},
        "blur": float(np.log10(1 + cv2.Laplacian(small, cv2.CV_64F).var())),
        "phash": perceptual_hash(shown),
    }


def _levels(pixels):
    """Intensities from a histogram, an order of magnitude faster than from the pixels."""
    shares = np.bincount(pixels.ravel(), minlength=256) / pixels.size
    levels, total = np.arange(256), np.cumsum(shares)
    mean = float(shares @ levels)
    darkest, median, brightest = np.searchsorted(total, [0.01, 0.5, 0.99])
    return {
        "mean": mean,
        "sd": float(np.sqrt(shares @ (levels - mean) ** 2)),
        "darkest": float(darkest),
        "median": float(median),
        "brightest": float(brightest),
        "black": float(shares[:6].sum()),
        "white": float(shares[250:].sum()),
    }
