"""Attribution maps in NumPy from activations A and gradients g, as implementations differ in them.

One formula has several readings in circulation. Each is a few lines here, so that a study can say
by how much its result depends on the reading. ``a`` and ``g`` are arrays of shape (n, h, w, K):
the activations of a layer and the gradient of the explained score with respect to them.
"""

from collections.abc import Callable

import numpy as np

_PLACES = (1, 2)


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def gradcam(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Grad-CAM, ReLU(Σ_k mean(g^k) A^k): shape (n, h, w) (Selvaraju 2017, arXiv:1610.02391)."""
    return _relu(np.einsum("nhwk,nk->nhw", a, g.mean(axis=_PLACES)))


def layercam(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    """LayerCAM, ReLU(Σ_k ReLU(g^k) A^k): shape (n, h, w) (Jiang 2021, 10.1109/TIP.2021.3089943)."""
    return _relu(np.einsum("nhwk,nhwk->nhw", a, _relu(g)))


def _alpha(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    """α = g² / (2g² + ΣA·g³), 0 where g is 0 (Chattopadhyay 2018, arXiv:1710.11063, eq. 19).

    Divided by g², which loses nothing and does not underflow for small gradients.
    """
    denominator = 2 + a.sum(axis=_PLACES, keepdims=True) * g
    usable = (g != 0) & (denominator != 0)
    return np.divide(1, denominator, out=np.zeros_like(g), where=usable)


def _weighted(a: np.ndarray, g: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    weights = np.einsum("nhwk,nhwk->nk", alpha, _relu(g))
    return _relu(np.einsum("nhwk,nk->nhw", a, weights))


def _normalised(alpha: np.ndarray) -> np.ndarray:
    total = alpha.sum(axis=_PLACES, keepdims=True)
    return alpha / np.where(total == 0, 1, total)


def gradcam_plus_plus(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Grad-CAM++ as in tf-keras-vis, α normalised over all places: shape (n, h, w)."""
    return _weighted(a, g, _normalised(_alpha(a, g)))


def gradcam_plus_plus_positive(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Grad-CAM++ as in its authors' code, α normalised where g > 0 only: shape (n, h, w)."""
    return _weighted(a, g, _normalised(np.where(g > 0, _alpha(a, g), 0)))


def gradcam_plus_plus_plain(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Grad-CAM++ as in PyTorch libraries, α not normalised: shape (n, h, w).

    The only one of the three that differs from LayerCAM where the gradient is the same at every
    place: there α is constant too, and normalising it makes the weight proportional to ReLU(g).
    """
    return _weighted(a, g, _alpha(a, g))


def minmax(maps: np.ndarray, *, epsilon: float = 1e-7) -> np.ndarray:
    """(M − min M) / (max M − min M + ε) per map, as tf-keras-vis displays them: in [0, 1).

    The subtraction moves mass from the background to the peak, and ε rules where the range of a
    map is small, as with the vanishing gradients of a saturated softmax.
    """
    lowest, highest = (f(maps, axis=_PLACES, keepdims=True) for f in (np.min, np.max))
    return (maps - lowest) / (highest - lowest + epsilon)


VARIANTS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "gradcam_plus_plus_positive": gradcam_plus_plus_positive,
    "gradcam_plus_plus_plain": gradcam_plus_plus_plain,
}
