"""Keeps one instance alive: its screen, and on it a streamer that may crash and comes back."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from appliance.bus.messages import InstanceState, Screen
from appliance.errors import UnavailableError
from appliance.instances.logbook import Note
from appliance.instances.plan import Plan
from appliance.instances.screens import ScreenHandle, virtual_screen
from appliance.instances.standby import Standby

logger = logging.getLogger(__name__)

_BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
_STABLE_SECONDS = 30.0


class Supervisor:
    """Runs `plan` until cancelled; `specification(screen, resumed)` gives the streamer its JSON.

    `size` is the screen as it is now, clients may have changed it.
    """

    def __init__(
        self,
        name: str,
        plan: Plan,
        *,
        env: dict[str, str],
        within: Sequence[str],
        directory: Path,
        size: Callable[[], Screen],
        specification: Callable[[ScreenHandle, bool], str],
        report: Callable[[InstanceState, str], None],
        standby: Standby,
        note_streamer: Note,
        note_program: Note,
    ) -> None:
        self.name = name
        self._plan = plan
        self._env = env
        self._within = within
        self._directory = directory
        self._size = size
        self._specification = specification
        self._report = report
        self._standby = standby
        self._note_streamer = note_streamer
        self._note_program = note_program
        self.restarts = 0
        self.streamer_pid: int | None = None

    async def run(self) -> None:
        """Returns only when the application itself ended; raises UnavailableError if it never came up."""
        failures = 0
        served = False
        while True:
            began = time.monotonic()
            try:
                async with self._screen() as screen:
                    served = True
                    if await self._serve_screen(screen, resumed=self.restarts > 0):
                        return
            except* UnavailableError as group:
                reason = str(group.exceptions[0])
                if self._plan.essential and not served:
                    raise UnavailableError(reason) from None
                self._report(InstanceState.STARTED, reason)
            failures = 0 if time.monotonic() - began > _STABLE_SECONDS else failures + 1
            await asyncio.sleep(_backoff(failures))
            self.restarts += 1

    @contextlib.asynccontextmanager
    async def _screen(self) -> AsyncIterator[ScreenHandle]:
        plan, size = self._plan, self._size()
        if plan.source != "virtual":
            yield ScreenHandle(plan.source, plan.display, plan.xauthority)
            return
        async with virtual_screen(
            width=size.width,
            height=size.height,
            programs=plan.programs,
            env=self._env,
            within=self._within,
            note=self._note_program,
            directory=self._directory,
            essential=plan.essential,
            largest=(plan.largest.width, plan.largest.height),
        ) as screen:
            yield screen

    async def _serve_screen(self, screen: ScreenHandle, *, resumed: bool) -> bool:
        """Streamers on `screen`, one after the other, until it is gone; True if the application ended."""
        async with asyncio.TaskGroup() as group:
            streaming = group.create_task(self._keep_streaming(screen, resumed=resumed))
            await asyncio.wait((streaming, screen.gone), return_when=asyncio.FIRST_COMPLETED)
            streaming.cancel()
        if not screen.gone.done():
            return False
        self._report(InstanceState.STARTED, screen.gone.result())
        return self._plan.essential

    async def _keep_streaming(self, screen: ScreenHandle, *, resumed: bool) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            reason = await self._stream(self._specification(screen, resumed))
            failures = 0 if time.monotonic() - began > _STABLE_SECONDS else failures + 1
            self.restarts += 1
            resumed = True
            self._report(InstanceState.STARTED, reason)
            logger.warning("%s: %s; again in %.1f s", self.name, reason, _backoff(failures))
            await asyncio.sleep(_backoff(failures))

    async def _stream(self, specification: str) -> str:
        """One streamer, from birth to death; returns why it ended."""
        try:
            async with self._standby.take(self.name, self._note_streamer) as streamer:
                self.streamer_pid = streamer.pid
                if streamer.process.stdin:
                    with contextlib.suppress(ConnectionError):
                        streamer.process.stdin.write(specification.encode() + b"\n")
                        await streamer.process.stdin.drain()
                code = await streamer.wait()
                cause = f"signal {-code}" if code < 0 else streamer.last_words
                return f"streamer ended ({cause})"
        except UnavailableError as exc:
            return str(exc)
        finally:
            self.streamer_pid = None


def _backoff(failures: int) -> float:
    return _BACKOFF_SECONDS[min(max(failures - 1, 0), len(_BACKOFF_SECONDS) - 1)]
