"""Where every artefact of a study lives, relative to one results folder."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The repository; relative paths in parameters are taken from here, whatever the caller's
working directory (papermill keeps the caller's, Jupyter and nbval use the notebook's)."""


def resolve(path: str | Path) -> Path:
    """Absolute form of `path`, taken relative to the repository when it is relative."""
    path = Path(path).expanduser()
    return path if path.is_absolute() else ROOT / path


@dataclass(frozen=True)
class StudyPaths:
    """Paths under ``<results>/<study>``; `results` is relative to the repository or absolute."""

    results: str | Path
    study: str

    @property
    def root(self) -> Path:
        """Folder of this study."""
        return resolve(self.results) / self.study

    @property
    def data(self) -> Path:
        """Folder of the data manifest, the image caches and the audit."""
        return self.root / "data"

    @property
    def manifest(self) -> Path:
        """Data manifest, a row per accepted image."""
        return self.data / "manifest.csv"

    def images(self, size: int) -> Path:
        """Memory-mapped image cache at `size` pixels."""
        return self.data / f"images_{size}.npy"

    def corrected(self, size: int) -> Path:
        """Like `images`, of the same phantoms with markers that carry no information."""
        return self.data / "corrected" / f"images_{size}.npy"

    def weights(self, architecture: str, key: str) -> Path:
        """Source-task weights, shared by the studies and addressed by content."""
        return resolve(self.results) / "weights" / f"{architecture}-{key}.weights.h5"

    def checkpoint(self, architecture: str, checkpoint: str) -> Path:
        """Keras checkpoint, e.g. ``transfer-s0`` or ``finetune-s1``."""
        return self.root / "models" / architecture / f"{checkpoint}.keras"

    def epochs(self, architecture: str, checkpoint: str, *, kind: str = "models") -> Path:
        """Folder of a checkpoint's weights ("models") or maps ("maps") after every epoch."""
        return self.root / kind / architecture / f"{checkpoint}.epochs"

    def history(self, architecture: str, checkpoint: str) -> Path:
        """Learning curve of a checkpoint, a row per epoch."""
        return self.checkpoint(architecture, checkpoint).with_suffix(".history.csv")

    def predictions(self, architecture: str, checkpoint: str) -> Path:
        """Logits of a checkpoint on validation and test images."""
        return self.checkpoint(architecture, checkpoint).with_suffix(".predictions.csv")

    def features(self, architecture: str, checkpoint: str) -> Path:
        """Pooled features of a frozen backbone, a row per row of the image cache."""
        return self.checkpoint(architecture, checkpoint).with_suffix(".features.npy")

    def maps(self, architecture: str, checkpoint: str) -> Path:
        """Attribution maps of a checkpoint on the test images."""
        return self.root / "maps" / architecture / f"{checkpoint}.npz"

    def faithfulness(self, architecture: str, checkpoint: str) -> Path:
        """What the prediction does when the cells of its maps are taken away, film by film."""
        return self.maps(architecture, checkpoint).with_suffix(".faithfulness.csv")

    def perturbed(self, architecture: str, checkpoint: str) -> Path:
        """Maps of a checkpoint of some test films that were changed."""
        return self.maps(architecture, checkpoint).with_suffix(".perturbed.npz")

    def marker_use(self, architecture: str, checkpoint: str) -> Path:
        """What a checkpoint answers where the planted marker is another, film by film."""
        return self.maps(architecture, checkpoint).with_suffix(".marker.csv")

    @property
    def tables(self) -> Path:
        """Folder of the result tables."""
        return self.root / "tables"

    @property
    def figures(self) -> Path:
        """Folder of the figures."""
        return self.root / "figures"

    @property
    def verdicts(self) -> Path:
        """Verdicts on the hypotheses, with their numbers."""
        return self.root / "verdicts.json"

    @property
    def report(self) -> Path:
        """First page of the static report; its folder holds all that it needs."""
        return self.root / "report" / "index.html"

    def notebook(self, name: str) -> Path:
        """Executed notebook, e.g. ``02_transfer-densenet201-s0``."""
        return self.root / "notebooks" / f"{name}.ipynb"
