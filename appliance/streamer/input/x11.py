"""Input into an X server, from a thread of its own: a server that stalls never stalls the streamer."""

import asyncio
import contextlib
import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable

import xcffib

from appliance.errors import UnavailableError
from appliance.streamer.input.x11_session import X11Session

logger = logging.getLogger(__name__)

Command = Callable[[X11Session], None]

_FIRST_RETRY = 0.25
_LAST_RETRY = 5.0
_GOODBYE_SECONDS = 0.5
_BACKLOG = 2000


class X11Sink:
    """`InputSink` of one display. Reconnects by itself; what comes in between is dropped."""

    def __init__(self, display: str, xauthority: str = "") -> None:
        self._display = display
        self._xauthority = xauthority
        self._trouble = "not connected yet"
        self._link: _Link | None = None
        self._copied = ""
        """What was on the clipboard last, whoever put it there."""

    @property
    def description(self) -> str:
        """What input goes to, or why it goes nowhere."""
        return f"X11 {self._display}: {self._trouble or 'XTEST'}"

    @property
    def size(self) -> tuple[int, int] | None:
        """Of the X screen; None while not connected."""
        session = self._link.session if self._link else None
        return session.size if session else None

    def key(self, code: int, key: str, pressed: bool) -> None:
        """A key by its evdev code and its `KeyboardEvent.key`."""
        self._post(lambda session: session.keyboard.key(code, key, pressed))

    def text(self, text: str) -> None:
        """Type `text`, whatever the layout."""
        self._post(lambda session: session.keyboard.text(text))

    def move(self, x: float, y: float) -> None:
        """Pointer to a point."""
        self._post(lambda session: session.move(x, y))

    def move_relative(self, dx: float, dy: float) -> None:
        """Pointer by a distance."""
        self._post(lambda session: session.move_relative(dx, dy))

    def button(self, button: int, pressed: bool) -> None:
        """A mouse button by its evdev code."""
        self._post(lambda session: session.button(button, pressed))

    def wheel(self, dx: int, dy: int) -> None:
        """Wheel notches."""
        self._post(lambda session: session.wheel(dx, dy))

    def set_clipboard(self, text: str) -> None:
        """Offer `text` to the programs on the screen."""
        self._copied = text
        self._post(lambda session: session.offer(text))

    async def run(self, on_clipboard: Callable[[str], None] | None) -> None:
        """Stay connected until cancelled."""

        def copied(text: str) -> None:
            self._copied = text
            if on_clipboard:
                on_clipboard(text)

        delay = _FIRST_RETRY
        while True:
            link = self._link = _Link(self._connected, copied if on_clipboard else None)
            link.start(self._display, self._xauthority)
            try:
                await asyncio.wait((link.ended,))
            finally:
                self._link = None
                await link.stop()
            trouble = link.ended.result()
            if link.session:
                delay = _FIRST_RETRY
            if trouble != self._trouble:
                logger.warning("no input into X11 %s: %s", self._display, trouble)
                self._trouble = trouble
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LAST_RETRY)

    def _connected(self) -> None:
        self._trouble = ""
        logger.info("input goes to X11 %s", self._display)
        if text := self._copied:
            self._post(lambda session: session.restore(text))

    def _post(self, command: Command) -> None:
        if self._link:
            self._link.post(command)


class _Link:
    """One session in its thread, from connecting to the end."""

    def __init__(self, connected: Callable[[], None], on_clipboard: Callable[[str], None] | None) -> None:
        self.session: X11Session | None = None
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done when the thread is, with what went wrong."""
        self._loop = asyncio.get_running_loop()
        self._connected = connected
        self._on_clipboard = on_clipboard
        self._commands: deque[Command] = deque()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._stopping = False

    def start(self, display: str, xauthority: str) -> None:
        """Connect and serve in a thread; a daemon one, since connecting to a stalled server never ends."""
        threading.Thread(
            target=self._work, args=(display, xauthority), name=f"input {display}", daemon=True
        ).start()

    def post(self, command: Command) -> None:
        """Have the thread do `command`; a server that has fallen far behind is given up."""
        if self.session is None or self.ended.done():
            return
        if len(self._commands) < _BACKLOG:
            self._commands.append(command)
            os.eventfd_write(self._wake, 1)
        else:
            self.session.cut()

    async def stop(self) -> None:
        """End the thread: politely, and if the server does not answer without its help."""
        self._stopping = True
        with contextlib.suppress(OSError):
            os.eventfd_write(self._wake, 1)
        await asyncio.wait((self.ended,), timeout=_GOODBYE_SECONDS)
        if not self.ended.done() and self.session:
            self.session.cut()
            await asyncio.wait((self.ended,), timeout=_GOODBYE_SECONDS)
        if self.ended.done():
            os.close(self._wake)

    def _work(self, display: str, xauthority: str) -> None:
        trouble = "stopped"
        try:
            with X11Session(display, xauthority, clipboard=self._on_clipboard is not None) as session:
                self.session = session
                self._tell(self._connected)
                self._serve(session)
        except UnavailableError as exc:
            trouble = str(exc).removeprefix(f"X11 {display}: ")
        except xcffib.XcffibException as exc:
            trouble = f"the X server ended the connection ({exc})"
        except Exception as exc:
            logger.exception("input into X11 %s failed", display)
            trouble = repr(exc)
        finally:
            self._tell(self._end, trouble)

    def _end(self, trouble: str) -> None:
        if not self.ended.done():
            self.ended.set_result(trouble)

    def _tell(self, function: Callable[..., None], *arguments: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(function, *arguments)

    def _serve(self, session: X11Session) -> None:
        poll = select.poll()
        poll.register(session.fileno(), select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while not self._stopping:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wake)
            self._pump(session)  # a key is to be understood by the layout there is now
            while self._commands:
                try:
                    self._commands.popleft()(session)
                except xcffib.ProtocolException as exc:
                    logger.debug("X error: %r", exc)
            # Waiting for replies queues events that poll(2) does not see any more: pump last.
            done = self._pump(session)
            session.flush()
            poll.poll(None if done else 0)

    def _pump(self, session: X11Session) -> bool:
        """Whether no event is left; keys do not wait for who makes more of them than we can take."""
        text, done = session.pump()
        if text is not None and self._on_clipboard:
            self._tell(self._on_clipboard, text)
        return done
