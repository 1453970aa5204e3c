"""An X screen as pixels: what changed since the last look, with the mouse cursor drawn in."""

import contextlib
import os
import socket
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import xcffib
import xcffib.damage
import xcffib.shm
import xcffib.xfixes
import xcffib.xinput
from xcffib import xproto

from appliance.errors import UnavailableError
from appliance.streamer.capture.areas import NOWHERE, Area, together
from appliance.streamer.capture.cursor import Cursor
from appliance.streamer.capture.pixels import Canvas
from appliance.streamer.capture.shm import SharedPixels

_NEEDED = ("MIT-SHM", "DAMAGE", "XFIXES")
_GE_GENERIC = 35
_ALL_MASTER_DEVICES = 1
_MOTION, _RAW_MOTION = 1 << 6, 1 << 17
_ALL_PLANES = 0xFFFFFFFF
_BLUE_FIRST = (0xFF0000, 0x00FF00, 0x0000FF)


class _Connection(xcffib.Connection):
    """Leaves XInput2's events unparsed: xcffib miscounts their axes and reads past their end."""

    core: Any

    def hoist_event(self, e: Any) -> Any:
        """The event, or just the type of a generic one."""
        if e.response_type & 0x7F == _GE_GENERIC:
            return _GE_GENERIC
        return super().hoist_event(e)  # type: ignore[no-untyped-call]


class X11Screen:
    """One connection, used from one thread. Every call may raise UnavailableError, naming the display."""

    canvas: Canvas
    _segment: int

    def __init__(self, display: str, xauthority: str = "") -> None:
        self._display = display
        self._damaged = self._moved = self._reshaped = self._resized = True
        self._cursor: Cursor | None = None
        self._covered = NOWHERE
        """What the cursor covers in the picture."""
        self._shared: SharedPixels | None = None
        if xauthority:
            os.environ["XAUTHORITY"] = xauthority
        with self._blaming("no X server answers, or it refuses us"):
            self._x: Any = _Connection(display)  # type: ignore[no-untyped-call]
        try:
            with self._blaming("the X server ended the connection"):
                self._prepare()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the server; the canvas must not be used any more."""
        self._x.disconnect()
        if self._shared is not None:
            self._shared.close()
            self._shared = None

    def fileno(self) -> int:
        """Readable when `changed` may have news."""
        return int(self._x.get_file_descriptor())

    def changed(self) -> bool:
        """Read what the server reported so far, without waiting: whether a new picture would differ."""
        with self._blaming("the X server is gone"):
            while (event := self._x.poll_for_event()) is not None:
                self._note(event)
        return self._damaged or self._moved or self._reshaped or self._resized

    def capture(self) -> Sequence[Area]:
        """Bring the canvas up to date; these parts of it are new."""
        with self._blaming("the X server is gone"):
            try:
                return self._update()
            except xproto.MatchError:  # it shrank, and the event about that is still on its way
                self._resized = True
                return self._update()

    def _prepare(self) -> None:
        x = self._x
        for name in _NEEDED:
            if not x.core.QueryExtension(len(name), name).reply().present:
                raise UnavailableError(f"display {self._display}: the X server lacks the extension {name}")
        screen = x.get_setup().roots[x.pref_screen]
        if not _is_blue_first(screen):
            raise UnavailableError(f"display {self._display}: not a 24-bit colour screen")
        self._root: int = screen.root
        self._shm = x(xcffib.shm.key)
        self._damage = x(xcffib.damage.key)
        self._xfixes = x(xcffib.xfixes.key)
        self._damage.QueryVersion(1, 1).reply()
        self._xfixes.QueryVersion(5, 0).reply()
        self._damages, self._region = x.generate_id(), x.generate_id()
        self._damage.Create(self._damages, self._root, xcffib.damage.ReportLevel.NonEmpty)
        self._xfixes.CreateRegion(self._region, 0, [])
        self._xfixes.SelectCursorInput(self._root, xcffib.xfixes.CursorNotifyMask.DisplayCursor)
        x.core.ChangeWindowAttributes(self._root, xproto.CW.EventMask, [xproto.EventMask.StructureNotify])
        self._watch_pointer()

    def _watch_pointer(self) -> None:
        """Raw motion reaches us whatever window has the pointer; only plain motion tells of a warp."""
        name = "XInputExtension"
        if not self._x.core.QueryExtension(len(name), name).reply().present:
            return  # then the cursor moves with the next picture
        xinput = self._x(xcffib.xinput.key)
        xinput.XIQueryVersion(2, 2).reply()
        mask = xcffib.xinput.EventMask.synthetic(_ALL_MASTER_DEVICES, 1, [_RAW_MOTION | _MOTION])
        xinput.XISelectEvents(self._root, 1, [mask], is_checked=True).check()

    def _note(self, event: Any) -> None:
        if event == _GE_GENERIC:
            self._moved = True
        elif isinstance(event, xcffib.damage.NotifyEvent):
            self._damaged = True
        elif isinstance(event, xcffib.xfixes.CursorNotifyEvent):
            self._reshaped = True
        elif isinstance(event, xproto.ConfigureNotifyEvent) and event.window == self._root:
            self._resized = True

    def _update(self) -> Sequence[Area]:
        if self._resized:
            self._allocate()
        pointer = self._x.core.QueryPointer(self._root)
        grabbed = self._grab() if self._damaged or self._resized else ()
        if self._reshaped:
            self._fetch_cursor()
        position = pointer.reply()
        cursor = self._cursor if position.same_screen else None
        x, y = position.root_x, position.root_y
        covers = cursor.area(x, y) if cursor else NOWHERE
        redrawn = (self._covered, covers) if self._reshaped or covers != self._covered else ()
        areas = together((*grabbed, *redrawn))
        drawn = cursor and self.canvas.converts(covers, areas)
        with cursor.drawn(self._pixels, x, y) if cursor and drawn else contextlib.nullcontext():
            shown = self.canvas.update(areas)
        self._covered = covers
        self._damaged = self._moved = self._reshaped = self._resized = False
        return shown

    def _grab(self) -> Sequence[Area]:
        """Fetch what is damaged, or all after a resize; what is drawn meanwhile is damage again."""
        self._damage.Subtract(self._damages, 0, self._region)
        damaged = self._xfixes.FetchRegion(self._region).reply().rectangles
        height, width, _ = self._pixels.shape
        if self._resized:
            areas: Sequence[Area] = (Area(0, 0, width, height),)
        else:
            areas = together(
                Area(each.x, each.y, each.x + each.width, each.y + each.height).within(width, height)
                for each in damaged
            )
        images = [
            self._shm.GetImage(
                self._root, 0, area.top, width, area.bottom - area.top, _ALL_PLANES,
                xproto.ImageFormat.ZPixmap, self._segment, area.top * width * 4,
            )
            for area in areas
        ]  # fmt: skip
        for image in images:
            image.reply()
        return areas

    def _fetch_cursor(self) -> None:
        try:
            image = self._xfixes.GetCursorImage().reply()
        except xproto.CursorError:  # none is shown
            self._cursor = None
            return
        self._cursor = Cursor(image.cursor_image.raw, image.width, image.height, image.xhot, image.yhot)

    def _allocate(self) -> None:
        """Shared memory of the screen's size, known to the server."""
        geometry = self._x.core.GetGeometry(self._root).reply()
        if self._shared is not None:
            self._shm.Detach(self._segment)
            self._shared.close()
        self._shared = shared = SharedPixels(geometry.width, geometry.height)
        try:
            with socket.socket(fileno=os.dup(self.fileno())) as server:
                shared.lend_to(server)
            self._segment = self._x.generate_id()
            self._shm.Attach(self._segment, shared.id, read_only=False, is_checked=True).check()
        except xproto.AccessError:
            raise UnavailableError(
                f"display {self._display}: the X server cannot share memory with this process"
                " (another machine, container or user namespace)"
            ) from None
        finally:
            shared.forget()
        self._pixels = shared.pixels
        self.canvas = Canvas(shared.pixels)
        self._covered = NOWHERE

    @contextlib.contextmanager
    def _blaming(self, what: str) -> Iterator[None]:
        try:
            yield
        except xcffib.XcffibException as exc:
            reason = str(exc).strip(".") or type(exc).__name__
            raise UnavailableError(f"display {self._display}: {what} ({reason})") from exc


def _is_blue_first(screen: Any) -> bool:
    """Whether pixels of the root window are 4 bytes, blue first."""
    visuals = (visual for depth in screen.allowed_depths for visual in depth.visuals)
    root = next(visual for visual in visuals if visual.visual_id == screen.root_visual)
    return screen.root_depth in (24, 32) and (root.red_mask, root.green_mask, root.blue_mask) == _BLUE_FIRST
