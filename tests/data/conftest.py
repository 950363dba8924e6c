"""A folder in which everything lies that people put into folders of films."""

import os

import pytest
from hostile_material import HOSTILE, READABLE


@pytest.fixture
def mixed(collection):
    for name, (content, _) in HOSTILE.items():
        (collection / "normal" / name).write_bytes(content)
    for name, content in READABLE.items():
        (collection / "covid19" / name).write_bytes(content)
    (collection / "normal" / "folder.png").mkdir()
    (collection / "normal" / "broken.png").symlink_to("gone.png")
    (collection / "normal" / "loop.png").symlink_to("loop.png")
    os.mkfifo(collection / "normal" / "pipe.png")
    return collection
