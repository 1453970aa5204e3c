"""Whether a viewer still wants what it gets, and whether it is there at all: consent of RFC 7675."""

import asyncio
import logging
import random
import time
from typing import Any

import aioice.ice
from aioice import stun

from appliance.bus.beat import until_beat

logger = logging.getLogger(__name__)

_PAUSES = 4.0, 5.0  # and up to a second: RFC 7675 section 5.1
_LASTS_S, _SILENT_S = 30.0, 12.0
_REPEATS, _AGAIN_S = 2, 0.5


class ConsentingConnection(aioice.ice.Connection):
    """Takes whatever the other side sends for a sign of life."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.heard_at = time.monotonic()
        """When the other side sent anything last, its answers to our checks aside."""

    async def query_consent(self) -> None:
        """Ask the other side on and on whether it wants what it gets (RFC 7675), and close where it does not.

        Before that consent has run out where nothing at all is heard of it any more. aioice would
        give up over a few lost answers.
        """
        consented, pause = time.monotonic(), _until_question()
        while True:
            await asyncio.sleep(pause)
            try:
                await self._ask_for_consent()
                consented, pause = time.monotonic(), _until_question()
            except stun.TransactionError as exc:
                now, pause = time.monotonic(), _AGAIN_S
                if now - consented > _LASTS_S or now - max(consented, self.heard_at) > _SILENT_S:
                    logger.info("there is nobody any more: %s", exc)
                    self._query_consent_task = None
                    await self.close()
                    return

    async def _ask_for_consent(self) -> None:
        for pair in tuple(self._nominated.values()):
            await pair.protocol.request(
                self.build_request(pair, nominate=False),
                pair.remote_addr,
                integrity_key=(self.remote_password or "").encode(),
                retransmissions=_REPEATS,
            )


def _until_question() -> float:
    """To a full second: many viewers asked in one turn cost less than one by one."""
    return random.choice(_PAUSES) + until_beat(1.0)  # noqa: S311
