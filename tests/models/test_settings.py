"""A user's own keras.json changes nothing."""

import json
import os
import subprocess
import sys

import pytest

from lib.study.paths import ROOT

pytestmark = pytest.mark.network


@pytest.mark.parametrize("module", ["models.backbones", "checkpoint_audit.networks.graph"])
def test_another_backend_and_layout_in_keras_json_are_not_taken(module, tmp_path):
    wrong = {"backend": "jax", "image_data_format": "channels_first", "floatx": "float16"}
    (tmp_path / "keras.json").write_text(json.dumps(wrong | {"epsilon": 0.1}))
    program = (
        f"import lib.{module}, keras; config = keras.config; "
        "print(keras.backend.backend(), config.image_data_format(), config.floatx(), "
        "config.epsilon())"
    )
    environment = os.environ | {"KERAS_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    environment.pop("KERAS_BACKEND", None)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert done.stdout.split() == ["tensorflow", "channels_last", "float32", "1e-07"], done.stderr
