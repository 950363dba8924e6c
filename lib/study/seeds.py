"""One random seed per purpose, derived from the seed of the study."""

import hashlib


def derive(seed: int, *purpose: str | int) -> int:
    """Seed for one purpose, such as ``derive(7, "split")`` or ``derive(7, "shuffle", 0, 3)``.

    Purposes are independent: adding one changes no other, which a shared generator would.

    The purpose goes from general to particular; the seed is in 0 … 2³¹ − 1.
    """
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
