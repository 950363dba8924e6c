"""Peak memory of attribution for ten times as many films, each side in a process of its own.

Budget: at most 1.2 × the peak.
"""

import resource
import subprocess
import sys

BUDGET = 1.2


def peak(count: int) -> float:
    """Peak memory in MiB of a process that explains `count` films."""
    command = [sys.executable, "-m", "bench.memory", str(count)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def explain(count: int, size: int = 96) -> None:
    """Explain films and print the peak memory of this process in MiB."""
    import numpy as np

    from lib import attribution, layers, models
    from lib.batches import Films
    from lib.params import Runtime

    models.configure(Runtime(), seed=0)
    model = models.build("resnet50v2", size=size, classes=5)
    images = np.random.default_rng(0).integers(0, 256, (count, size, size), np.uint8)
    data = Films(images, np.arange(count), np.arange(count) % 5)
    explainer = attribution.Explainer(model, layers.role_layers(model, "resnet50v2"))
    explainer(data, [str(number) for number in range(count)], batch_size=16)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main(few: int = 64) -> None:
    """Print one line."""
    small, large = peak(few), peak(10 * few)
    met = "met" if large <= BUDGET * small else "NOT met"
    print(
        f"memory: attribution of {few} films {small:.0f} MiB, of {10 * few} films {large:.0f} MiB, "
        f"ratio {large / small:.2f} (budget {BUDGET}: {met})"
    )


if __name__ == "__main__":
    explain(int(sys.argv[1])) if len(sys.argv) > 1 else main()
