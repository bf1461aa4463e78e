"""One adapter for all tests of a module, so that a worker starts once."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages: this makes draft_harness importable

from draft_harness import Harness, harness


@pytest.fixture(scope="module")
async def draft(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncGenerator[Harness]:
    folder: Path = tmp_path_factory.mktemp("draft")
    async with harness(folder) as opened:
        yield opened
