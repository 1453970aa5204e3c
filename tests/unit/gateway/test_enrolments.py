"""Who hands boxes on to the bus, and who has nobody to hand them on to."""

import asyncio
from typing import Any, cast

import pytest

from appliance.config import BusSection
from appliance.gateway.enrolments import BusDoor, Enrolments

pytestmark = pytest.mark.unit


async def test_who_lets_no_box_in_does_not_look_for_any() -> None:
    nothing = cast("Any", None)
    for section in (BusSection(), BusSection(mode="external", url="nats://192.0.2.1")):
        async with asyncio.timeout(1):
            await Enrolments(nothing, nothing, BusDoor(section, None)).follow()
