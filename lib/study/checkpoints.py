"""Names of the checkpoints of a study, and of the sets of maps that are made from them."""

MODES = ("finetune", "placebo", "corrected")
"""What stage two does: the backbone learns; it stays frozen; it learns from films on which a
planted shortcut has been taken away (studies with a shortcut only)."""

CONTROLS = ("repeat", "randomised")
"""Sets of maps that no training made: the transfer checkpoint again, and with random weights."""

RANDOMISATION_STEPS = ("head", "stage 5", "stage 4", "stage 3", "stage 2", "stage 1")
"""From the logits down to the input; after the last one nothing learnt is left."""


def source_of(name: str) -> str:
    """The checkpoint whose weights a set of maps comes from: its own, or for `CONTROLS` transfer's.

    Examples
    --------
    >>> source_of("randomised-s0"), source_of("finetune-s1")
    ('transfer-s0', 'finetune-s1')
    """
    kind, _, seed = name.rpartition("-s")
    return f"transfer-s{seed}" if kind in CONTROLS else name


def trained(name: str) -> bool:
    """Whether a set of maps is that of a trained checkpoint and not one of `CONTROLS`."""
    return source_of(name) == name
