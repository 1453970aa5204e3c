"""The `control` data channel: text in, frozen dataclasses out; Anbox's messages and our `fanlight::` ones."""

import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from appliance.errors import InvalidInputError
from appliance.signaling.keycodes import BY_ANBOX_CODE, BY_ANDROID_CODE, BY_DOM_CODE, BY_MOUSE_BUTTON

CLIPBOARD_BYTES = 256 * 1024
WHEEL_NOTCH = 120.0
_LARGEST = 1e6
_TOUCHES = 10
_GAMEPADS = 16
_GAMEPAD_CONTROLS = 32
_KEY_NAME = 32


@dataclass(frozen=True, slots=True)
class MouseMove:
    """Pointer to (x, y) in video pixels, or by (dx, dy) where the page holds a pointer lock."""

    x: float | None
    y: float | None
    dx: float
    dy: float


@dataclass(frozen=True, slots=True)
class MouseButton:
    """A mouse button by its evdev code (BTN_LEFT...)."""

    button: int
    pressed: bool


@dataclass(frozen=True, slots=True)
class Wheel:
    """Wheel movement in notches, down and right positive."""

    dx: float
    dy: float


@dataclass(frozen=True, slots=True)
class TouchStart:
    """A finger came down."""

    slot: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class TouchMove:
    """A finger moved."""

    slot: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class TouchEnd:
    """A finger was lifted."""

    slot: int


@dataclass(frozen=True, slots=True)
class TouchCancel:
    """A finger is gone and meant nothing."""

    slot: int


@dataclass(frozen=True, slots=True)
class Key:
    """A key by its evdev code (0: position not known) and its `KeyboardEvent.key` ("": not known)."""

    code: int
    key: str
    pressed: bool

    @property
    def text(self) -> str:
        """The character that the viewer's layout gives, "" for keys that write none."""
        return self.key if len(self.key) == 1 and self.key.isprintable() else ""


@dataclass(frozen=True, slots=True)
class Release:
    """Let go of everything that this viewer holds."""


@dataclass(frozen=True, slots=True)
class Clipboard:
    """The viewer's clipboard."""

    text: str


@dataclass(frozen=True, slots=True)
class GamepadButton:
    """A gamepad button by its W3C standard index; `value` is how far, 0 to 1, where that is known."""

    gamepad: int
    index: int
    pressed: bool
    value: float | None = None


@dataclass(frozen=True, slots=True)
class GamepadAxis:
    """A gamepad axis, -1 to 1."""

    gamepad: int
    index: int
    value: float


@dataclass(frozen=True, slots=True)
class GamepadGone:
    """A gamepad was unplugged."""

    gamepad: int


@dataclass(frozen=True, slots=True)
class ImeText:
    """Text from an on-screen keyboard."""

    text: str


@dataclass(frozen=True, slots=True)
class ImeKey:
    """An editing key of an on-screen keyboard by its evdev code, to be tapped `times` times."""

    code: int
    times: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Latency probe: `t` goes back as it is."""

    t: float


@dataclass(frozen=True, slots=True)
class Timing:
    """Whether the page wants to know when each frame was captured, encoded and sent."""

    wanted: bool


@dataclass(frozen=True, slots=True)
class Latency:
    """From the box's screen to the page's, as the page makes it out."""

    ms: float


@dataclass(frozen=True, slots=True)
class Keyframe:
    """The page shows nothing."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The viewer leaves."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that is well-formed and of no use here."""

    type: str


ControlMessage = (
    MouseMove
    | MouseButton
    | Wheel
    | TouchStart
    | TouchMove
    | TouchEnd
    | TouchCancel
    | Key
    | Release
    | Clipboard
    | GamepadButton
    | GamepadAxis
    | GamepadGone
    | ImeText
    | ImeKey
    | Ping
    | Timing
    | Latency
    | Keyframe
    | Disconnect
    | Ignored
)


def parse_control(text: str) -> ControlMessage:
    """One message from the page. Raises InvalidInputError naming type and field."""
    try:
        envelope = json.loads(text, parse_constant=_not_a_number)
    except (ValueError, RecursionError) as exc:
        raise InvalidInputError(f"control message: not JSON: {exc}") from exc
    if not isinstance(envelope, dict) or not isinstance(kind := envelope.get("type"), str):
        raise InvalidInputError("control message: type: must be a string")
    if (parser := _PARSERS.get(kind)) is None:
        return Ignored(kind[:64])
    data = envelope.get("data", {})
    if not isinstance(data, dict):
        raise InvalidInputError(f"{kind}: data: must be an object")
    return parser(_Fields(kind, data))


def build_control(kind: str, data: Mapping[str, Any]) -> str:
    """One message to the page; `data` is a JSON text inside the JSON, as the Anbox SDK expects."""
    inner = json.dumps(data, ensure_ascii=False)  # escapes would make seven bytes of a Cyrillic letter
    return json.dumps({"type": kind, "data": inner}, ensure_ascii=False)


class _Fields:
    """The data of one message, read field by field."""

    def __init__(self, kind: str, data: dict[str, Any]) -> None:
        self.kind = kind
        self._data = data

    def __contains__(self, field: str) -> bool:
        return self._data.get(field) is not None

    def refuse(self, field: str, reason: str) -> NoReturn:
        raise InvalidInputError(f"{self.kind}: {field}: {reason}")

    def number(self, field: str, default: float | None = None, most: float = _LARGEST) -> float:
        value = self._data.get(field, default)
        # JSON has no limit on digits: 1e999 arrives as inf, and a long integer does not fit a float.
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= most:
            self.refuse(field, f"must be a number within ±{most:.0f}")
        return float(value)

    def integer(self, field: str, below: int) -> int:
        value = self._data.get(field)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < below:
            self.refuse(field, f"must be an integer from 0 to {below - 1}")
        return value

    def boolean(self, field: str) -> bool:
        value = self._data.get(field)
        if not isinstance(value, bool):
            self.refuse(field, "must be true or false")
        return value

    def string(self, field: str, most_bytes: int) -> str:
        value = self._data.get(field)
        if not isinstance(value, str):
            self.refuse(field, "must be a string")
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            self.refuse(field, "has a lone surrogate")
        if size > most_bytes:
            self.refuse(field, f"is larger than {most_bytes} bytes")
        return value

    def inner(self, field: str) -> "_Fields":
        value = self._data.get(field)
        if not isinstance(value, dict):
            self.refuse(field, "must be an object")
        return _Fields(f"{self.kind}: {field}", value)


def _not_a_number(literal: str) -> NoReturn:
    raise ValueError(f"{literal} is not JSON")


def _mouse_move(fields: _Fields) -> ControlMessage:
    dx, dy = fields.number("rx", 0.0), fields.number("ry", 0.0)
    if "x" not in fields and "y" not in fields:
        return MouseMove(None, None, dx, dy)
    return MouseMove(fields.number("x"), fields.number("y"), dx, dy)


def _mouse_button(fields: _Fields) -> ControlMessage:
    number = fields.integer("button", 256)
    if (button := BY_MOUSE_BUTTON.get(number)) is None:
        fields.refuse("button", "must be 1 (left), 2 (middle), 3 (right), 4 (back) or 5 (forward)")
    return MouseButton(button, fields.boolean("pressed"))


def _anbox_wheel(fields: _Fields) -> ControlMessage:
    """Anbox counts as evdev does: up and left are positive."""
    return Wheel(0.0 - fields.number("x", 0.0), 0.0 - fields.number("y", 0.0))


def _wheel(fields: _Fields) -> ControlMessage:
    return Wheel(fields.number("dx", 0.0) / WHEEL_NOTCH, fields.number("dy", 0.0) / WHEEL_NOTCH)


def _touch(make: type[TouchStart] | type[TouchMove]) -> Callable[[_Fields], ControlMessage]:
    return lambda fields: make(fields.integer("id", _TOUCHES), fields.number("x"), fields.number("y"))


def _anbox_key(fields: _Fields) -> ControlMessage:
    code, pressed = fields.integer("code", 0x10000), fields.boolean("pressed")
    return Key(BY_ANBOX_CODE[code], "", pressed) if code in BY_ANBOX_CODE else Ignored(fields.kind)


def _key(fields: _Fields) -> ControlMessage:
    code = BY_DOM_CODE.get(fields.string("code", 256), 0)
    name = fields.string("key", 256) if "key" in fields else ""
    # Some layouts report a letter and its combining accent: one character once they are composed.
    message = Key(code, unicodedata.normalize("NFC", name)[:_KEY_NAME], fields.boolean("pressed"))
    return message if code or message.text else Ignored(fields.kind)


def _gamepad_axis(fields: _Fields) -> ControlMessage:
    gamepad, index = fields.integer("id", _GAMEPADS), fields.integer("index", _GAMEPAD_CONTROLS)
    return GamepadAxis(gamepad, index, min(1.0, max(-1.0, fields.number("value"))))


def _gamepad_button(fields: _Fields) -> ControlMessage:
    gamepad, index = fields.integer("id", _GAMEPADS), fields.integer("index", _GAMEPAD_CONTROLS)
    value = min(1.0, max(0.0, fields.number("value"))) if "value" in fields else None
    return GamepadButton(gamepad, index, fields.boolean("pressed"), value)


def _ime(fields: _Fields) -> ControlMessage:
    """Types 1 text, 2 key; 3 to 5 (action, composing text and region) tell what is not written yet."""
    match fields.integer("type", 256):
        case 1:
            return ImeText(fields.inner("data").string("text", CLIPBOARD_BYTES))
        case 2:
            data = fields.inner("data")
            code, times = data.integer("code", 0x10000), data.integer("times", 1000)
            return ImeKey(BY_ANDROID_CODE[code], times) if code in BY_ANDROID_CODE else Ignored(fields.kind)
    return Ignored(fields.kind)


def _ping(fields: _Fields) -> ControlMessage:
    # `performance.now()` outgrows the limit of coordinates after 17 minutes.
    return Ping(fields.number("t", most=2**53))


def _latency(fields: _Fields) -> ControlMessage:
    return Latency(round(max(0.0, fields.number("ms")), 1))


_PARSERS: dict[str, Callable[[_Fields], ControlMessage]] = {
    "input::mouse-move": _mouse_move,
    "input::mouse-button": _mouse_button,
    "input::mouse-wheel": _anbox_wheel,
    "input::touch-start": _touch(TouchStart),
    "input::touch-move": _touch(TouchMove),
    "input::touch-end": lambda fields: TouchEnd(fields.integer("id", _TOUCHES)),
    "input::touch-cancel": lambda fields: TouchCancel(fields.integer("id", _TOUCHES)),
    "input::key": _anbox_key,
    "input::gamepad-button": _gamepad_button,
    "input::gamepad-axes": _gamepad_axis,
    "input::ime-event": _ime,
    "stream::disconnect": lambda _: Disconnect(),
    "fanlight::key": _key,
    "fanlight::release": lambda _: Release(),
    "fanlight::gamepad-gone": lambda fields: GamepadGone(fields.integer("id", _GAMEPADS)),
    "fanlight::wheel": _wheel,
    "fanlight::clipboard": lambda fields: Clipboard(fields.string("text", CLIPBOARD_BYTES)),
    "fanlight::ping": _ping,
    "fanlight::timing": lambda fields: Timing(fields.boolean("on")),
    "fanlight::latency": _latency,
    "fanlight::keyframe": lambda _: Keyframe(),
}
