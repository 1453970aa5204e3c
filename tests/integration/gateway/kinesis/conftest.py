"""A gateway, and boto3 that calls it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.cloud import Caller, Cloud
from tests.support.gateway import settings, street


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    """Over plain HTTP, with TURN, and with room for five channels."""
    ice = {"turn": ["turn:turn.example.org:3478?transport=udp"], "turn_secret": "secret"}
    async with street(tmp_path, settings(kinesis={"max_channels": 5, "retention_hours": 1}, ice=ice)) as here:
        yield Cloud(here)


@pytest.fixture
async def video(cloud: Cloud) -> Caller:
    """The control plane, by a key that may do everything."""
    return await cloud.root()
