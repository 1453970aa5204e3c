"""What a signaling socket may bring: texts that are right, nearly right, and nothing of the sort."""

import base64
import json
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

SDP = (
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=recvonly\r\na=rtcp-mux\r\n"
    "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=setup:active\r\na=rtpmap:96 H264/90000\r\n"
    "a=fingerprint:sha-256 " + ":".join(["00"] * 32) + "\r\n"
)
CANDIDATE = "candidate:1 1 udp 2130706431 127.0.0.1 9 typ host"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


WHOLE: list[dict[str, Any]] = [
    {"type": "discover"},
    {
        "type": "settings",
        "api_version": 2,
        "data_channels": ["foo"],
        "enable_speaker": True,
        "enable_video": True,
        "device_type": "phone",
        "video": {"preferred_decoder_codecs": ["H264", "VP8"]},
    },
    {"type": "offer", "sdp": _base64(SDP)},
    {"type": "answer", "sdp": _base64(SDP)},
    {"type": "candidate", "candidate": _base64(CANDIDATE), "sdpMid": "0", "sdpMLineIndex": 0},
    {"type": "fanlight::adopt", "peer": "someone"},
]

_words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_words, inner, max_size=4),
    max_leaves=8,
)


@st.composite
def _nearly(draw: st.DrawFn) -> dict[str, Any]:
    """A whole message with a field replaced, dropped or added."""
    message = dict(draw(st.sampled_from(WHOLE)))
    field = draw(st.sampled_from([*message, "more"]))
    if draw(st.booleans()):
        message.pop(field, None)
    else:
        message[field] = draw(_anything)
    return message


@st.composite
def _described(draw: st.DrawFn) -> dict[str, Any]:
    """A description with lines dropped, doubled, out of order or cut."""
    lines = draw(st.lists(st.sampled_from(SDP.split("\r\n")) | _words, max_size=30))
    sdp = draw(st.sampled_from(["", SDP])) + "\r\n".join(lines)
    cut = draw(st.integers(0, len(sdp)))
    return {"type": draw(st.sampled_from(["offer", "answer"])), "sdp": _base64(sdp[:cut])}


@st.composite
def _candidates(draw: st.DrawFn) -> dict[str, Any]:
    parts = draw(st.permutations(CANDIDATE.split(" ")))[: draw(st.integers(0, 8))]
    text = draw(st.sampled_from([CANDIDATE + " ", ""])) + " ".join(parts) + draw(_words)
    return {"type": "candidate", "candidate": _base64(text), "sdpMid": draw(_words), "sdpMLineIndex": 0}


def signals() -> st.SearchStrategy[str]:
    """Text frames of a client."""
    objects = st.sampled_from(WHOLE) | _nearly() | _described() | _candidates() | _anything
    texts = objects.map(json.dumps)
    cut = st.tuples(texts, st.integers(0, 60)).map(lambda pair: pair[0][: pair[1]])
    deep = st.integers(1, 20_000).map(lambda depth: "[" * depth)
    return texts | texts | cut | deep | _words


def corpus(least: int = 0) -> list[str]:
    """As many of them as the profile of hypothesis has examples, but not less than `least`."""
    found: list[str] = []
    examples = max(settings.default.max_examples if settings.default else 0, least)

    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(signals())
    def collect(text: str) -> None:
        found.append(text)

    collect()
    return found
