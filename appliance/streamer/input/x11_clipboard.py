"""The CLIPBOARD selection of an X server (ICCCM 2): watched through XFixes, read and served as UTF-8."""

import contextlib
import logging
from collections.abc import Iterable
from typing import Any

import xcffib
import xcffib.xfixes
from xcffib import xproto

from appliance.signaling.control import CLIPBOARD_BYTES

logger = logging.getLogger(__name__)

_ANY = 0
_NONE = 0
_WHOLE_PROPERTY = CLIPBOARD_BYTES // 4 + 1
_PREDEFINED = {"ATOM": 4, "STRING": 31}
_NAMES = (
    "CLIPBOARD",
    "UTF8_STRING",
    "INCR",
    "TARGETS",
    "TEXT",
    "text/plain;charset=utf-8",
    "FANLIGHT_CLIPBOARD",
)


class X11Clipboard:
    """Used from the connection's one thread: every event of the connection goes through `handle`."""

    def __init__(self, connection: Any) -> None:
        self._x = connection
        core = connection.core
        cookies = [(name, core.InternAtom(False, len(name), name)) for name in _NAMES]
        self._atoms = _PREDEFINED | {name: cookie.reply().atom for name, cookie in cookies}
        self._property = self._atoms["FANLIGHT_CLIPBOARD"]
        self._window = connection.generate_id()
        screen = connection.setup.roots[connection.pref_screen]
        core.CreateWindow(
            0, self._window, screen.root, -1, -1, 1, 1, 0, xproto.WindowClass.InputOnly, 0,
            xproto.CW.EventMask, [xproto.EventMask.PropertyChange],
        )  # fmt: skip
        fixes = connection(xcffib.xfixes.key)
        fixes.QueryVersion(5, 0).reply()
        owner_changed = xcffib.xfixes.SelectionEventMask.SetSelectionOwner
        fixes.SelectSelectionInput(self._window, self._atoms["CLIPBOARD"], owner_changed)
        self._offered = b""
        self._chunks: list[bytes] | None = None
        """What came of an incremental transfer so far; None outside of one."""

    @property
    def owned(self) -> bool:
        """Whether anybody offers anything."""
        return bool(self._x.core.GetSelectionOwner(self._atoms["CLIPBOARD"]).reply().owner != _NONE)

    def offer(self, text: str) -> None:
        """Own the selection and serve `text` to whoever asks."""
        self._offered = text.encode()
        self._x.core.SetSelectionOwner(self._window, self._atoms["CLIPBOARD"], xproto.Time.CurrentTime)

    def handle(self, event: xcffib.Event) -> str | None:
        """Do what `event` asks; the new text once a program's clipboard has been read."""
        match event:
            case xcffib.xfixes.SelectionNotifyEvent() if event.owner not in (self._window, _NONE):
                self._chunks = None
                clipboard, utf8 = self._atoms["CLIPBOARD"], self._atoms["UTF8_STRING"]
                self._x.core.ConvertSelection(self._window, clipboard, utf8, self._property, event.timestamp)
            case xproto.SelectionNotifyEvent() if event.requestor == self._window and event.property != _NONE:
                return self._receive()
            case xproto.PropertyNotifyEvent() if (
                self._chunks is not None
                and event.atom == self._property
                and event.state == xproto.Property.NewValue
            ):
                return self._receive_more(self._chunks)
            case xproto.SelectionRequestEvent():
                self._serve(event)
        return None

    def _receive(self) -> str | None:
        kind, data, rest = self._take()
        if kind == self._atoms["INCR"]:
            self._chunks = []  # our deleting the property, just now, asks for the first chunk
            return None
        return self._text([data], rest)

    def _receive_more(self, chunks: list[bytes]) -> str | None:
        _, data, rest = self._take()
        if data and not rest:
            # The owner is led to the end in any case, but what is too long is not kept.
            if sum(map(len, chunks)) <= CLIPBOARD_BYTES:
                chunks.append(data)
            return None
        self._chunks = None
        return self._text(chunks, rest)

    def _take(self) -> tuple[int, bytes, int]:
        """Type and bytes of the transfer property, which is deleted, and how many bytes were too many."""
        reply = self._x.core.GetProperty(True, self._window, self._property, _ANY, 0, _WHOLE_PROPERTY).reply()
        if reply.bytes_after:
            self._x.core.DeleteProperty(self._window, self._property)
        return reply.type, bytes(reply.value.buf()) if reply.format == 8 else b"", reply.bytes_after

    def _text(self, chunks: Iterable[bytes], rest: int) -> str | None:
        data = b"".join(chunks)
        if rest or len(data) > CLIPBOARD_BYTES:
            logger.info(
                "the screen's clipboard is larger than %s bytes and is not passed on", CLIPBOARD_BYTES
            )
            return None
        return data.decode("utf-8", errors="replace") or None

    def _serve(self, request: xproto.SelectionRequestEvent) -> None:
        core, atoms = self._x.core, self._atoms
        target = request.property or request.target  # obsolete clients name no property (ICCCM 2.2)
        texts = [atoms[name] for name in ("UTF8_STRING", "text/plain;charset=utf-8", "TEXT", "STRING")]
        if request.target == atoms["TARGETS"]:
            targets = [atoms["TARGETS"], *texts]
            core.ChangeProperty(
                xproto.PropMode.Replace, request.requestor, target, atoms["ATOM"], 32, len(targets), targets
            )
        elif request.target in texts:
            kind = atoms["UTF8_STRING"] if request.target == atoms["TEXT"] else request.target
            data = self._offered
            if kind == atoms["STRING"]:
                data = data.decode().encode("latin-1", errors="replace")
            core.ChangeProperty(xproto.PropMode.Replace, request.requestor, target, kind, 8, len(data), data)
        else:
            target = _NONE
        answer = xproto.SelectionNotifyEvent.synthetic(
            request.time, request.requestor, request.selection, request.target, target
        )
        with contextlib.suppress(xcffib.ProtocolException):  # the requestor may be gone already
            core.SendEvent(False, request.requestor, 0, answer.pack())
