"""Settings of Keras that a user has: the commands do without them, and the functions refuse them in a sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.slow

COMMAND = """
from imageshards.train.quiet import import_tensorflow
import_tensorflow()
import keras
print(keras.config.backend(), keras.config.floatx(), keras.config.image_data_format(), keras.config.max_epochs())
"""
FUNCTION = """
import keras
from imageshards.pipeline.errors import UserError
from imageshards.train.keras_settings import check_settings
check_settings()
for name, value in {"floatx": "float16", "image_data_format": "channels_first", "dtype_policy": "mixed_float16",
                    "max_epochs": 1}.items():
    change = getattr(keras.config, f"set_{name}")
    before = getattr(keras.config, name)()
    change(value)
    try:
        check_settings()
    except UserError as error:
        print(error)
    change(before)
check_settings()
"""


def run(home: Path, settings: object, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    (home / "keras.json").write_text(json.dumps(settings))
    environment = os.environ | {"KERAS_HOME": str(home), "TF_CPP_MIN_LOG_LEVEL": "3", **variables}
    return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)


def test_a_command_does_without_them(tmp_path: Path) -> None:
    settings = {"backend": "jax", "floatx": "float16", "image_data_format": "channels_first"}
    done = run(tmp_path, settings, COMMAND, KERAS_BACKEND="torch", KERAS_MAX_EPOCHS="1", KERAS_MAX_STEPS_PER_EPOCH="x")
    assert done.stdout.split() == ["tensorflow", "float32", "channels_last", "None"]


def test_a_function_refuses_each(tmp_path: Path) -> None:
    done = run(tmp_path, {}, FUNCTION)
    said = done.stdout
    assert done.returncode == 0, done.stderr
    assert "Keras's floatx is float16, and imageshards needs float32: call keras.config.set_floatx('float32')" in said
    assert "Keras's image_data_format is channels_first" in said
    assert "Keras's dtype_policy is mixed_float16" in said
    assert "Keras's max_epochs is 1, which would cut training short: call keras.config.set_max_epochs(None)" in said


@pytest.mark.parametrize("settings", [[], {"floatx": "bfloat16"}])
def test_what_keras_itself_does_not_take_is_named(tmp_path: Path, settings: object) -> None:
    said = run(tmp_path, settings, COMMAND).stderr
    assert f"mend or delete {tmp_path}/keras.json" in said
    assert "UserError" in said
