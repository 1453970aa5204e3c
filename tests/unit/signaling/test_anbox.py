import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import InvalidInputError
from appliance.signaling import anbox

pytestmark = pytest.mark.unit


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_settings_of_the_sdk_are_read() -> None:
    text = (
        '{"type":"settings","api_version":2,"data_channels":["foo"],"enable_speaker":true,"enable_microphone":false,'
        '"enable_video":true,"enable_camera":false,"video":{"preferred_decoder_codecs":["h264","VP8"]}}'
    )
    assert anbox.parse(text) == anbox.Settings(data_channels=("foo",), preferred_codecs=("H264", "VP8"))


def test_settings_of_a_version_1_client_need_nothing_else() -> None:
    assert anbox.parse('{"type":"settings","api_version":1}') == anbox.Settings(api_version=1)


def test_settings_may_switch_media_off() -> None:
    parsed = anbox.parse('{"type":"settings","enable_speaker":false,"enable_video":false}')
    assert parsed == anbox.Settings(enable_speaker=False, enable_video=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"type":"discover"}', anbox.Discover()),
        (json.dumps({"type": "answer", "sdp": b64("v=0\r\n")}), anbox.Answer("v=0\r\n")),
        (json.dumps({"type": "offer", "sdp": b64("v=0\r\n"), "dataChannels": []}), anbox.Offer("v=0\r\n")),
        (
            json.dumps(
                {"type": "candidate", "candidate": b64("candidate:1"), "sdpMid": "0", "sdpMLineIndex": 0}
            ),
            anbox.Candidate("candidate:1", "0", 0),
        ),
        ('{"type":"fanlight::adopt","peer":"abc"}', anbox.Adopt("abc")),
        ('{"type":"hello"}', anbox.Ignored("hello")),
    ],
)
def test_client_messages_are_read(text: str, expected: anbox.ClientMessage) -> None:
    assert anbox.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not JSON"),
        ("[" * 50_000, "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "type: missing"),
        ('{"type":7}', "type: must be str"),
        ('{"type":"answer"}', "sdp: missing"),
        ('{"type":"answer","sdp":"v=0"}', "sdp: not base64"),
        ('{"type":"candidate","candidate":""}', "neither sdpMid nor sdpMLineIndex"),
        ('{"type":"candidate","candidate":"","sdpMLineIndex":true}', "sdpMLineIndex: must be int, is bool"),
        ('{"type":"settings","api_version":3}', "api_version: 3 is not served"),
        ('{"type":"settings","enable_video":"yes"}', "enable_video: must be bool, is str"),
        ('{"type":"settings","video":[]}', "video: must be dict"),
        ('{"type":"settings","video":{"preferred_decoder_codecs":[1]}}', "must be a list of short strings"),
        (json.dumps({"type": "settings", "data_channels": ["x"] * 17}), "more than 16 entries"),
        ('{"type":"fanlight::adopt"}', "peer: missing"),
    ],
)
def test_a_bad_message_is_refused_with_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        anbox.parse(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda c: st.lists(c) | st.dictionaries(st.text(), c),
    )
)
def test_any_json_is_read_or_refused(value: object) -> None:
    for fields in (value, {"type": "settings", "video": value}, {"type": "candidate", "candidate": value}):
        try:
            anbox.parse(json.dumps(fields))
        except InvalidInputError:
            continue


def test_server_texts_are_what_the_sdk_reads() -> None:
    assert json.loads(anbox.resp_discover(fps=60)) == {
        "type": "resp:discover",
        "max_api_version": 2,
        "fps": 60,
        "capabilities": [],
    }
    assert json.loads(anbox.offer("v=0\r\n")) == {"type": "offer", "sdp": b64("v=0\r\n")}
    assert json.loads(anbox.answer("v=0\r\n")) == {"type": "answer", "sdp": b64("v=0\r\n")}
    assert json.loads(anbox.error("no")) == {"type": "error", "message": "no"}
    assert json.loads(anbox.candidate("candidate:1", "0", 0)) == {
        "type": "candidate",
        "candidate": b64("candidate:1"),
        "sdpMid": "0",
        "sdpMLineIndex": 0,
    }


def test_server_texts_of_our_own() -> None:
    assert json.loads(anbox.restart("again")) == {"type": "fanlight::restart", "reason": "again"}
    assert json.loads(anbox.wait("no display")) == {"type": "fanlight::wait", "reason": "no display"}
    assert json.loads(anbox.end("kicked")) == {"type": "fanlight::end", "reason": "kicked"}
    assert json.loads(anbox.adopted()) == {"type": "fanlight::adopted"}
