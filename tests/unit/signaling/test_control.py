"""Messages of the control channel: what is understood, and what is refused and why."""

import contextlib
import json
from typing import Any

import pytest
from evdev import ecodes
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import InvalidInputError
from appliance.signaling.control import (
    CLIPBOARD_BYTES,
    Clipboard,
    Disconnect,
    GamepadAxis,
    GamepadButton,
    GamepadGone,
    Ignored,
    ImeKey,
    ImeText,
    Key,
    Keyframe,
    Latency,
    MouseButton,
    MouseMove,
    Ping,
    Release,
    Timing,
    TouchCancel,
    TouchEnd,
    TouchMove,
    TouchStart,
    Wheel,
    build_control,
    parse_control,
)

pytestmark = pytest.mark.unit


def message(kind: Any, data: Any) -> str:
    return json.dumps({"type": kind, "data": data})


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("input::mouse-move", {"rx": 2, "ry": -3, "x": 147.84, "y": 20}, MouseMove(147.84, 20, 2, -3)),
        ("input::mouse-move", {"rx": 2, "ry": -3}, MouseMove(None, None, 2, -3)),
        ("input::mouse-button", {"pressed": True, "button": 1}, MouseButton(ecodes.BTN_LEFT, True)),
        ("input::mouse-button", {"pressed": False, "button": 3}, MouseButton(ecodes.BTN_RIGHT, False)),
        ("input::mouse-button", {"pressed": True, "button": 5}, MouseButton(ecodes.BTN_EXTRA, True)),
        ("input::mouse-wheel", {"x": 0, "y": -1}, Wheel(0, 1)),
        ("fanlight::wheel", {"dx": 0, "dy": 120}, Wheel(0, 1)),
        ("fanlight::wheel", {"dx": -30, "dy": 12.5}, Wheel(-0.25, 12.5 / 120)),
        ("fanlight::timing", {"on": True}, Timing(True)),
        ("fanlight::latency", {"ms": 21.36}, Latency(21.4)),
        ("fanlight::latency", {"ms": -1}, Latency(0)),
        ("input::touch-start", {"id": 9, "x": 1.5, "y": 2}, TouchStart(9, 1.5, 2)),
        ("input::touch-move", {"id": 0, "x": 1, "y": 2}, TouchMove(0, 1, 2)),
        ("input::touch-end", {"id": 0, "last": True}, TouchEnd(0)),
        ("input::touch-cancel", {"id": 0}, TouchCancel(0)),
        ("input::key", {"code": 4, "pressed": True}, Key(ecodes.KEY_A, "", True)),
        ("input::key", {"code": 3000, "pressed": True}, Ignored("input::key")),
        ("fanlight::key", {"code": "KeyA", "key": "q", "pressed": True}, Key(ecodes.KEY_A, "q", True)),
        (
            "fanlight::key",
            {"code": "Enter", "key": "Enter", "pressed": False},
            Key(ecodes.KEY_ENTER, "Enter", False),
        ),
        ("fanlight::key", {"code": "", "key": "ä", "pressed": True}, Key(0, "ä", True)),
        ("fanlight::key", {"code": "KeyE", "key": "e\u0301", "pressed": True}, Key(ecodes.KEY_E, "é", True)),
        ("fanlight::key", {"code": "KeyA", "pressed": True}, Key(ecodes.KEY_A, "", True)),
        (
            "fanlight::key",
            {"code": "Unidentified", "key": "Process", "pressed": True},
            Ignored("fanlight::key"),
        ),
        ("input::gamepad-button", {"id": 0, "index": 12, "pressed": True}, GamepadButton(0, 12, True)),
        (
            "input::gamepad-button",
            {"id": 0, "index": 6, "pressed": False, "value": 0.25},
            GamepadButton(0, 6, False, 0.25),
        ),
        (
            "input::gamepad-button",
            {"id": 0, "index": 6, "pressed": True, "value": 9},
            GamepadButton(0, 6, True, 1),
        ),
        ("fanlight::gamepad-gone", {"id": 3}, GamepadGone(3)),
        ("input::gamepad-axes", {"id": 1, "index": 5, "value": -0.5}, GamepadAxis(1, 5, -0.5)),
        ("input::gamepad-axes", {"id": 1, "index": 5, "value": 1.0001}, GamepadAxis(1, 5, 1)),
        ("input::ime-event", {"type": 1, "data": {"text": "é"}}, ImeText("é")),
        ("input::ime-event", {"type": 2, "data": {"code": 67, "times": 3}}, ImeKey(ecodes.KEY_BACKSPACE, 3)),
        ("input::ime-event", {"type": 4, "data": {"text": "half"}}, Ignored("input::ime-event")),
        ("location::update-position", {"time": 0}, Ignored("location::update-position")),
        ("something::new", [1], Ignored("something::new")),
        ("stream::disconnect", {}, Disconnect()),
        ("fanlight::release", {}, Release()),
        ("fanlight::clipboard", {"text": "snow ☃"}, Clipboard("snow ☃")),
        ("fanlight::ping", {"t": 12_345_678.5}, Ping(12_345_678.5)),
        ("fanlight::keyframe", {}, Keyframe()),
    ],
)
def test_a_message_is_understood(kind: str, data: Any, expected: object) -> None:
    assert parse_control(message(kind, data)) == expected


def test_data_may_be_absent_where_nothing_is_needed() -> None:
    assert parse_control('{"type": "fanlight::keyframe"}') == Keyframe()
    assert parse_control('{"type": "vhal::get-all-prop-configs"}') == Ignored("vhal::get-all-prop-configs")


@pytest.mark.parametrize(
    ("kind", "data", "field"),
    [
        ("input::mouse-move", {"x": 1, "rx": 0, "ry": 0}, "y"),
        ("input::mouse-move", {"x": "1", "y": 1}, "x"),
        ("input::mouse-move", {"x": True, "y": 1}, "x"),
        ("input::mouse-move", {"x": 1e7, "y": 1}, "x"),
        ("input::mouse-move", {"x": 10**400, "y": 1}, "x"),
        ("input::mouse-button", {"pressed": 1, "button": 1}, "pressed"),
        ("input::mouse-button", {"pressed": True, "button": 9}, "button"),
        ("input::mouse-button", {"pressed": True, "button": 1.5}, "button"),
        ("input::touch-start", {"id": 10, "x": 1, "y": 1}, "id"),
        ("input::touch-start", {"id": -1, "x": 1, "y": 1}, "id"),
        ("input::touch-end", {"id": True}, "id"),
        ("input::key", {"code": "4", "pressed": True}, "code"),
        ("input::key", {"code": 4}, "pressed"),
        ("fanlight::key", {"code": 30, "pressed": True}, "code"),
        ("fanlight::key", {"code": "KeyA", "key": "a", "pressed": "yes"}, "pressed"),
        ("fanlight::key", {"code": "KeyA", "key": "\ud800", "pressed": True}, "key"),
        ("fanlight::clipboard", {"text": "x" * (CLIPBOARD_BYTES + 1)}, "text"),
        ("fanlight::clipboard", {"text": "\udfff"}, "text"),
        ("fanlight::clipboard", {}, "text"),
        ("fanlight::ping", {"t": None}, "t"),
        ("input::ime-event", {"type": 1, "data": "text"}, "data"),
        ("input::ime-event", {"type": 1, "data": {"text": 5}}, "text"),
        ("fanlight::wheel", [120], "data"),
        ("input::gamepad-button", {"id": 16, "index": 0, "pressed": True}, "id"),
        ("input::gamepad-button", {"id": 0, "index": 6, "pressed": True, "value": "1"}, "value"),
        ("input::gamepad-axes", {"id": 0, "index": 0, "value": None}, "value"),
        ("fanlight::gamepad-gone", {"id": -1}, "id"),
    ],
)
def test_a_malformed_message_is_refused_by_type_and_field(kind: str, data: Any, field: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"^{kind}: (data: )?{field}: "):
        parse_control(message(kind, data))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000])
def test_no_number_that_is_none_gets_through(number: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_control(f'{{"type": "input::mouse-move", "data": {{"x": {number}, "y": 0}}}}')


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"data": {}}', '{"type": 5}', "[" * 100_000])
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^control message: "):
        parse_control(text)


TYPES = st.sampled_from(
    ["input::mouse-move", "input::key", "fanlight::key", "fanlight::wheel", "input::ime-event", "x"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
FIELDS = st.sampled_from(["x", "y", "rx", "id", "code", "key", "pressed", "dx", "type", "data", "text"])
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(FIELDS, inner), max_leaves=8)


@given(TYPES, JSON)
def test_any_json_is_a_message_or_an_invalid_input(kind: str, data: Any) -> None:
    with contextlib.suppress(InvalidInputError):
        parse_control(message(kind, data))


@pytest.mark.parametrize(
    ("key", "text"), [("a", "a"), ("€", "€"), ("Enter", ""), ("Dead", ""), ("", ""), ("\t", "")]
)
def test_only_printable_characters_are_text(key: str, text: str) -> None:
    assert Key(ecodes.KEY_A, key, True).text == text


def test_messages_to_the_page_are_encoded_twice() -> None:
    outer = json.loads(build_control("fanlight::pong", {"t": 12.5}))
    assert outer["type"] == "fanlight::pong"
    assert json.loads(outer["data"]) == {"t": 12.5}


def test_letters_travel_as_they_are() -> None:
    text = "Привет, 世界 🎐"
    message = build_control("fanlight::clipboard", {"text": text})
    assert text in message
    assert json.loads(json.loads(message)["data"]) == {"text": text}
