"""A gateway on a real bus."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.gateway import Street, street


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Street]:
    async with street(tmp_path) as running:
        yield running
