"""The thin library behind the notebooks: one module per concept of the study."""

import os

# Before anything imports TensorFlow: its C++ log would fill the notebooks with addresses and times.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow turns oneDNN on for some processors only; without it a training takes far longer.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# A user's keras.json may name another backend; the study is one of TensorFlow's Keras.
os.environ["KERAS_BACKEND"] = "tensorflow"
# POT would import every array library that it finds, TensorFlow first.
for _backend in ("PYTORCH", "JAX", "CUPY", "TENSORFLOW"):
    os.environ.setdefault(f"POT_BACKEND_DISABLE_{_backend}", "1")
