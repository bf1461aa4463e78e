"""Logs go to stderr, as text or as JSON lines."""

import json
import logging
import sys
from collections.abc import Generator

import pytest

from darkroom.telemetry import JsonLines, configure_logging


@pytest.fixture
def root() -> Generator[logging.Logger]:
    """The root logger; as it was before, afterwards."""
    logger = logging.getLogger()
    level, handlers = logger.level, logger.handlers[:]
    logger.handlers[:] = []
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


def test_text_goes_to_stderr_from_the_level_on(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    logging.getLogger("darkroom.x").warning("about %s", "foxes")
    logging.getLogger("darkroom.x").info("not shown")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "WARNING darkroom.x: about foxes\n")
    assert root.level == logging.WARNING


def test_json_has_one_object_a_line(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level="INFO", as_json=True)
    logging.getLogger("darkroom.x").info("a\nfüchs")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    record = json.loads(lines[0])
    assert (record["level"], record["logger"], record["message"]) == ("info", "darkroom.x", "a\nfüchs")
    assert set(record) == {"time", "level", "logger", "message"}
    assert root.level == logging.INFO


def test_an_exception_is_part_of_its_line() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", None, sys.exc_info())
    shown = json.loads(JsonLines().format(record))
    assert shown["exception"].endswith("ValueError: broken")


def test_configuring_again_replaces_what_was_there(root: logging.Logger) -> None:
    configure_logging()
    configure_logging(as_json=True)
    assert len(root.handlers) == 1
    assert isinstance(root.handlers[0].formatter, JsonLines)
