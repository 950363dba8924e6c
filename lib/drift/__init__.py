"""Step 5, drift: how far the maps of two checkpoints differ, beside controls.

Reads maps, predictions and the data manifest. Writes `tables/*.csv`. Needs no TensorFlow.
"""

import os

# POT loads every tensor library that it finds, TensorFlow too, unless it is told not to.
for _library in ("PYTORCH", "JAX", "CUPY", "TENSORFLOW"):
    os.environ.setdefault(f"POT_BACKEND_DISABLE_{_library}", "1")
