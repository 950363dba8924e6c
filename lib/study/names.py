"""Names of the study's things, in tables and for readers; how they look is the figures' matter."""

import pandas as pd

from lib.study.architectures import ARCHITECTURES

SPLITS = ("train", "validation", "test")
SOURCES = ("source", "source_dataset", "source_repo", "dataset", "site", "hospital", "scanner")
"""Columns of a manifest that commonly tell where a film is from."""

MODES = ("finetune", "placebo", "corrected", "shuffled", "restarted")
"""What stage two does: the backbone learns; it stays frozen; it learns from films on which a
planted shortcut has been taken away (studies with a shortcut only); it learns from shuffled labels,
or from the second transfer checkpoint on (where asked for)."""
CONTROLS = ("repeat", "randomised")
"""Sets of maps that no training made: the transfer checkpoint again, and with random weights."""
TUNED_CONTROLS = {"perturbed": ("perturbed",), "swapped": ("head_only", "features_only")}
"""What every fine-tuning is compared with besides, by parameter, and its sets of maps: the transfer
checkpoint moved as far as fine-tuning moved it, but in a random direction; the transfer backbone
with the fine-tuned head, and the fine-tuned backbone with the transfer head."""
TRAINED_CONTROLS = ("shuffled", "restarted")
"""What every fine-tuning is compared with besides, and what costs a training of its own: as many
steps with labels that belong to other films (data randomisation, Adebayo et al. 2018); the same
fine-tuning from another transfer checkpoint."""
MATCHED = ("placebo", "shuffled")
"""Modes that take as many steps as the kept fine-tuning took, and select nothing."""
OF_TUNED = tuple(kind for kinds in TUNED_CONTROLS.values() for kind in kinds)
"""Their sets of maps by kind."""
RANDOMISATION_STEPS = ("head", "stage 5", "stage 4", "stage 3", "stage 2", "stage 1")
"""From the logits down to the input; after the last one nothing learnt is left."""


def sources_of(name: str, base: str) -> tuple[str, ...]:
    """The checkpoints that the weights of a set of maps are made of: its own, or for a control.

    `base` is the transfer checkpoint that all fine-tunings started from.

    Examples
    --------
    >>> sources_of("randomised-s0", "transfer-s0"), sources_of("finetune-s1", "transfer-s0")
    (('transfer-s0',), ('finetune-s1',))
    >>> sources_of("perturbed-s1", "transfer-s0")
    ('transfer-s0', 'finetune-s1')
    """
    kind, _, seed = name.rpartition("-s")
    if kind in CONTROLS:
        return (f"transfer-s{seed}",)
    return (base, f"finetune-s{seed}") if kind in OF_TUNED else (name,)


def trained(name: str) -> bool:
    """Whether a set of maps is of a network that learnt the classes, and not that of a control."""
    return name.rpartition("-s")[0] not in (*CONTROLS, *OF_TUNED, *TRAINED_CONTROLS)


CLASSES = ("normal", "bacterial_pneumonia", "viral_pneumonia", "covid19", "tuberculosis")

GRADIENT_METHODS = ("layercam", "gradcam_plus_plus", "gradcam")
"""Computed by tf-keras-vis from activations and gradients; the default of every study."""
VARIANT_METHODS = ("gradcam_plus_plus_positive", "gradcam_plus_plus_plain")
"""Grad-CAM++ as other implementations have it, see `lib.attribution.formulas`."""
GRADIENT_FREE_METHODS = ("scorecam",)
"""Reference methods that use no gradient and cost one prediction per channel and film."""
METHODS = (*GRADIENT_METHODS, *VARIANT_METHODS, *GRADIENT_FREE_METHODS)

ARCHITECTURE_TITLES = {name: known.title for name, known in ARCHITECTURES.items()}
METHOD_TITLES = {
    "layercam": "LayerCAM",
    "gradcam_plus_plus": "Grad-CAM++",
    "gradcam": "Grad-CAM",
    "gradcam_plus_plus_positive": "Grad-CAM++ (g > 0)",
    "gradcam_plus_plus_plain": "Grad-CAM++ (plain α)",
    "scorecam": "Score-CAM",
}
PAIRING_TITLES = {
    "finetune": "transfer → fine-tuned",
    "corrected": "transfer → without shortcut",
    "placebo": "transfer → placebo",
    "shuffled": "transfer → shuffled labels",
    "restarted": "another transfer → fine-tuned",
    "perturbed": "transfer → moved at random",
    "head_only": "transfer → new head alone",
    "features_only": "transfer → new features alone",
    "finetune_seeds": "fine-tuned, two seeds",
    "transfer_seeds": "transfer, two seeds",
    "starts": "fine-tuned, two transfers",
    "explainer": "explained twice (floor)",
    "randomised": "random weights",
    "ceiling": "unrelated films (ceiling)",
    "change": "before → after",
}
"""``change`` is that of an audit of two checkpoints."""
STAGE_TITLES = {
    "transfer": "transfer",
    "placebo": "placebo",
    "finetune": "fine-tuned",
    "corrected": "without shortcut",
    "shuffled": "shuffled labels",
    "restarted": "fine-tuned from another transfer",
    "repeat": "transfer, explained again",
    "randomised": "random weights",
}


def stage_of(checkpoints: pd.Series) -> pd.Series:
    """Stage of each checkpoint: "transfer" of "transfer-s0"."""
    return checkpoints.str.rsplit("-s", n=1).str[0]


def label(architecture: str, method: str = "") -> str:
    """Names of an architecture and method for a sentence; either may be empty."""
    titles = ARCHITECTURE_TITLES.get(architecture, architecture), METHOD_TITLES.get(method, method)
    return " with ".join(part for part in titles if part)
