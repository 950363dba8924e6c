"""Peak memory of attribution for ten times as many films, each side in a process of its own.

Budget: at most 1.2 × the peak.
"""

import resource
import sys

from bench import memory_line


def explain(count: int, size: int = 96) -> None:
    """Explain films and print the peak memory of this process in MiB."""
    import numpy as np

    from lib.attribution import explainer as attribution
    from lib.data.batches import Films
    from lib.models import backbones, layers
    from lib.study.params import Runtime

    backbones.configure(Runtime(), seed=0)
    model = backbones.build("resnet50v2", size=size, classes=5)
    images = np.random.default_rng(0).integers(0, 256, (count, size, size), np.uint8)
    data = Films(images, np.arange(count), np.arange(count) % 5)
    explainer = attribution.Explainer(model, layers.role_layers(model, "resnet50v2"))
    explainer(data, [str(number) for number in range(count)], batch_size=16)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main(few: int = 64) -> None:
    """Print one line."""
    print("memory:", memory_line("bench.memory", "attribution", few=few))


if __name__ == "__main__":
    explain(int(sys.argv[1])) if len(sys.argv) > 1 else main()
