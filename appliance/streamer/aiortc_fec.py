"""The adapter's part for repair packets: aiortc takes FlexFEC for a codec, and names no source for it.

Each private has a test that fails when it moves.
"""

import functools
from collections.abc import Callable
from typing import Any

import aiortc.rtcpeerconnection
from aiortc import RTCRtpTransceiver
from aiortc.codecs import CODECS
from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpCodecParameters
from aiortc.sdp import GroupDescription, MediaDescription, SsrcDescription

from appliance.streamer.frames import VIDEO_CLOCK

FLEXFEC = "FLEXFEC-03"
_PAYLOAD_TYPE = 103  # the next after those of aiortc
_CODEC = RTCRtpCodecParameters(
    mimeType="video/flexfec-03",
    clockRate=VIDEO_CLOCK,
    payloadType=_PAYLOAD_TYPE,
    rtcpFeedback=[RTCRtcpFeedback("transport-cc")],
    parameters={"repair-window": "10000000"},
)


def is_repair(codec: RTCRtpCodecParameters) -> bool:
    """Whether it is no codec but FlexFEC."""
    return codec.name.upper() == FLEXFEC


def payload_type(transceiver: RTCRtpTransceiver) -> int | None:
    """That of repair packets, once both descriptions are set; None where they were not agreed on."""
    return next((each.payloadType for each in transceiver._codecs if is_repair(each)), None)


def ssrc(sender: Any) -> int:
    """That of repair packets."""
    return int(sender._rtx_ssrc) ^ 1


def install() -> None:
    """Change what aiortc does for the whole process."""
    CODECS["video"].append(_CODEC)
    module = vars(aiortc.rtcpeerconnection)
    for name, ours in (
        ("create_media_description_for_transceiver", _describe),
        ("find_common_codecs", _find_common),
    ):
        module[name] = functools.partial(ours, original=module[name])


def _describe(
    transceiver: RTCRtpTransceiver, *, original: Callable[..., MediaDescription], cname: str, **rest: Any
) -> MediaDescription:
    """The media description, with the source of repair packets and what they repair (RFC 5956)."""
    media = original(transceiver, cname=cname, **rest)
    if any(map(is_repair, media.rtp.codecs)):
        sender: Any = transceiver.sender
        media.ssrc.append(SsrcDescription(ssrc=ssrc(sender), cname=cname))
        media.ssrc_group.append(GroupDescription(semantic="FEC-FR", items=[sender._ssrc, ssrc(sender)]))
    return media


def _find_common(
    *codecs: list[RTCRtpCodecParameters], original: Callable[..., list[RTCRtpCodecParameters]]
) -> list[RTCRtpCodecParameters]:
    """The codecs in common, FlexFEC last: aiortc takes the first for that of the picture."""
    common = sorted(original(*codecs), key=is_repair)
    return [] if common and is_repair(common[0]) else common
