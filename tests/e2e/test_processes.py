"""What a server says and how it ends when nobody speaks to it."""

import os
import subprocess
import sys

LIMIT_S = 120
"""Bound of every wait; far above what the work takes."""


def test_an_unknown_setting_is_warned_of_and_a_server_whose_input_ends_ends_too() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "darkroom", "serve"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
        env={**os.environ, "DARKROOM_TUMBNAILS": "auto"},
    )
    assert ended.returncode == 0
    assert ended.stdout == "", "nothing but the protocol goes to stdout"
    assert "Did you mean 'DARKROOM_THUMBNAILS'?" in ended.stderr
