"""A box whose settings bring a gateway's address and a code enrols by itself, at its first start."""

import asyncio
import contextlib
import logging
import random
from pathlib import Path

from appliance import lifecycle
from appliance.agent.enrolment import Enrolment, enroll
from appliance.config import GatewaySection
from appliance.errors import (
    ConfigError,
    InvalidInputError,
    RefusedError,
    UnauthorizedError,
    UnavailableError,
)

logger = logging.getLogger(__name__)

_LATER_SECONDS = (1.0, 5.0)


async def join(
    section: GatewaySection, state_dir: Path, *, box: str, name: str, stop: asyncio.Event
) -> Enrolment | None:
    """Bring `section.token`, the code, to `section.url`, however late that answers.

    None where `stop` comes first. Raises ConfigError where the gateway does not take it.
    """
    while not stop.is_set():
        try:
            made = await enroll(state_dir, section.url, section.token, box=box, name=name)
        except UnavailableError as exc:
            logger.warning("%s; trying again", exc)
        except (InvalidInputError, RefusedError, UnauthorizedError, OSError) as exc:
            raise ConfigError(f"gateway.token: not enrolled at {section.url}: {exc}") from exc
        else:
            logger.info("enrolled as %s at %s", made.name, made.gateway)
            return made
        lifecycle.notify(lifecycle.WAITING_FOR_GATEWAY)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(random.uniform(*_LATER_SECONDS)):  # noqa: S311
                await stop.wait()
    return None
