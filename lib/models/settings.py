"""Keras's settings, said by the study and not by a user's ``keras.json``.

The backend cannot be changed once Keras is imported: `lib` sets it before, by ``KERAS_BACKEND``.
"""

import keras


def apply() -> None:
    """Set number format, ε and the order of axes; called where models are built or read."""
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
