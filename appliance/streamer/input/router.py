"""From control messages to one screen and its gamepads: roles, limits, and who holds what."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.bus.messages import Role
from appliance.signaling import control
from appliance.streamer.input.gamepad import Gamepads, NoGamepads
from appliance.streamer.input.sink import InputSink

logger = logging.getLogger(__name__)

_BTN_LEFT = 0x110
_NOTCHES_PER_MESSAGE = 20


@dataclass(slots=True)
class _Viewer:
    """What one viewer holds, in the order of pressing, and the part of a wheel notch that is not yet sent."""

    keys: dict[int, None] = field(default_factory=dict)
    buttons: dict[int, None] = field(default_factory=dict)
    finger: int | None = None
    wheel_x: float = 0.0
    wheel_y: float = 0.0


class InputRouter:
    """Hands the input of all viewers to one sink. What several hold is let go with the last of them."""

    def __init__(
        self, sink: InputSink, gamepads: Gamepads | NoGamepads | None = None, *, clipboard: bool = True
    ) -> None:
        self.on_clipboard: Callable[[str], None] | None = None
        """Called in the event loop with the screen's clipboard whenever a program there sets it."""
        self.refused = 0
        """Messages that the sender's role did not allow."""
        self._sink = sink
        self._gamepads = gamepads or NoGamepads("not passed on")
        self._clipboard = clipboard
        self._viewers: dict[str, _Viewer] = {}
        self._warned: set[str] = set()

    @property
    def description(self) -> str:
        """What input goes to, or why it goes nowhere."""
        return self._sink.description

    @property
    def gamepads(self) -> str:
        """How many are in use, or why there are none."""
        return self._gamepads.description

    async def run(self) -> None:
        """Keep the sink connected, and gamepads plugged in, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._gamepads.run())
            group.create_task(self._sink.run(self._clipboard_changed if self._clipboard else None))

    def handle(self, viewer: str, role: Role, message: control.ControlMessage) -> None:
        """Do what `message` asks if `role` may; messages that are no input are not for here and pass by."""
        match message:
            case control.Ping() | control.Keyframe() | control.Disconnect() | control.Ignored():
                return
            case control.Release():
                self._let_go(viewer)
                self._gamepads.rest(viewer)
            case _ if not role.controls:
                self._refuse(viewer, role)
            case control.GamepadButton() | control.GamepadAxis():
                self._gamepads.take(viewer, message)
            case control.GamepadGone(gamepad):
                self._gamepads.unplug(viewer, gamepad)
            case _:
                self._inject(viewer, self._viewers.setdefault(viewer, _Viewer()), message)

    def holds(self, viewer: str) -> bool:
        """Whether it holds a key or a button, or has a gamepad."""
        held = self._viewers.get(viewer)
        return bool(held and (held.keys or held.buttons)) or self._gamepads.has(viewer)

    def release(self, viewer: str) -> None:
        """Forget a viewer, let go of what it still holds, and unplug its gamepads."""
        self._let_go(viewer)
        self._gamepads.unplug(viewer)
        self._warned.discard(viewer)

    def _refuse(self, viewer: str, role: Role) -> None:
        self.refused += 1
        self._let_go(viewer)
        self._gamepads.unplug(viewer)
        if viewer not in self._warned:
            self._warned.add(viewer)
            logger.info("input of viewer %s refused: its role is %s", viewer, role)

    def _inject(self, name: str, viewer: _Viewer, message: control.ControlMessage) -> None:
        match message:
            case control.MouseMove(None, None, dx, dy):
                self._sink.move_relative(dx, dy)
            case control.MouseMove(x, y) if x is not None and y is not None:
                self._move(x, y)
            case control.MouseButton(button, pressed):
                self._button(name, viewer, button, pressed)
            case control.Wheel(dx, dy):
                self._wheel(viewer, dx, dy)
            case control.Key(code, key, pressed):
                self._key(name, viewer, code, key, pressed)
            case control.TouchStart(slot, x, y) if viewer.finger is None:
                viewer.finger = slot
                self._move(x, y)
                self._button(name, viewer, _BTN_LEFT, True)
            case control.TouchMove(slot, x, y) if viewer.finger == slot:
                self._move(x, y)
            case control.TouchEnd(slot) | control.TouchCancel(slot) if viewer.finger == slot:
                viewer.finger = None
                self._button(name, viewer, _BTN_LEFT, False)
            case control.ImeText(text):
                self._sink.text(text)
            case control.ImeKey(code, times):
                for _ in range(times):
                    self._sink.key(code, "", True)
                    self._sink.key(code, "", False)
            case control.Clipboard(text) if self._clipboard:
                self._sink.set_clipboard(text)

    def _move(self, x: float, y: float) -> None:
        width, height = self._sink.size or (1, 1)
        self._sink.move(min(max(x, 0.0), width - 1), min(max(y, 0.0), height - 1))

    def _wheel(self, viewer: _Viewer, dx: float, dy: float) -> None:
        steps_x, viewer.wheel_x = _notches(viewer.wheel_x, dx)
        steps_y, viewer.wheel_y = _notches(viewer.wheel_y, dy)
        if steps_x or steps_y:
            self._sink.wheel(steps_x, steps_y)

    def _button(self, name: str, viewer: _Viewer, button: int, pressed: bool) -> None:
        if pressed == (button in viewer.buttons):
            return
        shared = any(button in other.buttons for key, other in self._viewers.items() if key != name)
        if pressed:
            viewer.buttons[button] = None
        else:
            del viewer.buttons[button]
        if not shared:
            self._sink.button(button, pressed)

    def _key(self, name: str, viewer: _Viewer, code: int, key: str, pressed: bool) -> None:
        if not code:
            if pressed:
                self._sink.text(key)
            return
        if pressed == (code in viewer.keys):
            return  # a repeat: the screen repeats held keys by itself
        shared = any(code in other.keys for each, other in self._viewers.items() if each != name)
        if pressed:
            viewer.keys[code] = None
        else:
            del viewer.keys[code]
        if not shared:
            self._sink.key(code, key, pressed)

    def _let_go(self, name: str) -> None:
        if (viewer := self._viewers.get(name)) is None:
            return
        for code in reversed(list(viewer.keys)):
            self._key(name, viewer, code, "", False)
        for button in reversed(list(viewer.buttons)):
            self._button(name, viewer, button, False)
        del self._viewers[name]

    def _clipboard_changed(self, text: str) -> None:
        if self.on_clipboard is not None:
            self.on_clipboard(text)


def _notches(rest: float, delta: float) -> tuple[int, float]:
    """Whole notches that are due now, and what is left of the last one; turning around starts afresh."""
    total = delta if rest * delta < 0 else rest + delta
    whole = int(total)
    return max(-_NOTCHES_PER_MESSAGE, min(_NOTCHES_PER_MESSAGE, whole)), total - whole
