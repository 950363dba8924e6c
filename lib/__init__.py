"""The thin library behind the notebooks: one module per concept of the study."""

import os

# Before anything imports TensorFlow: its C++ log would fill the notebooks with addresses and times.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
