"""Another size for the picture, where a client that takes the controls asks for one."""

import asyncio
import logging

from appliance.bus.messages import Screen
from appliance.bus.spec import StreamerSpec
from hw.randr import set_size

logger = logging.getLogger(__name__)


async def resized(spec: StreamerSpec, wanted: Screen) -> StreamerSpec:
    """`spec` with a screen as large as `wanted`, if it can be: within its limits, and even."""
    if spec.largest is None:
        return spec
    width = min(wanted.width + wanted.width % 2, spec.largest[0])
    height = min(wanted.height + wanted.height % 2, spec.largest[1])
    if spec.kind == "x11":
        try:
            await asyncio.to_thread(set_size, spec.display, width, height, spec.xauthority)
        except OSError as exc:
            logger.warning("the screen keeps its size: %s", exc)
            return spec
    screen = spec.screen.model_copy(update={"width": width, "height": height})
    return spec.model_copy(update={"screen": screen})
