"""Another size or rate for the picture, where a client that takes the controls asks for one."""

import asyncio
import logging

from appliance.bus.messages import Screen, ScreenWish
from appliance.bus.spec import StreamerSpec
from hw.randr import set_size

logger = logging.getLogger(__name__)

_OWN_PACE = ("camera", "file", "channel")


async def resized(spec: StreamerSpec, wish: ScreenWish) -> StreamerSpec:
    """`spec` with the screen that is wished for, as far as it can be."""
    if spec.kind in _OWN_PACE:
        return spec
    wanted = wish.of(spec.screen).within(spec.largest)
    changes = {"fps": wanted.fps}
    if spec.resizable and await _takes_size(spec, wanted):
        changes |= {"width": wanted.width, "height": wanted.height}
    return spec.model_copy(update={"screen": spec.screen.model_copy(update=changes)})


async def _takes_size(spec: StreamerSpec, wanted: Screen) -> bool:
    if spec.kind == "x11":
        try:
            await asyncio.to_thread(set_size, spec.display, wanted.width, wanted.height, spec.xauthority)
        except OSError as exc:
            logger.warning("the screen keeps its size: %s", exc)
            return False
    return True
