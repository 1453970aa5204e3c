"""How media is received without aiortc's receivers: privates of aiortc, each with a test.

Those acknowledge and decode, and give a frame away only when the next one begins.
"""

from collections.abc import Callable

from aiortc import RTCPeerConnection, RTCRtpTransceiver
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtcpPacket, RtcpSrPacket, RtpPacket

from appliance.streamer import aiortc_guard


def receive(
    connection: RTCPeerConnection,
    media: Callable[[RtpPacket], None],
    report: Callable[[RtcpSrPacket], None],
    *,
    media_bytes: int,
) -> None:
    """Have all packets, and the sender's reports, go to these; to be called after the negotiation.

    `media_bytes` of a second are taken at most.
    """
    aiortc_guard.guard(connection, media, media_bytes=media_bytes)
    for dtls in {each.receiver.transport for each in connection.getTransceivers()}:
        _hear_reports(dtls, report)


def _hear_reports(dtls: object, report: Callable[[RtcpSrPacket], None]) -> None:
    guarded = vars(dtls)["_handle_rtcp_data"]

    async def heard(data: bytes) -> None:
        await guarded(data)
        try:
            packets = RtcpPacket.parse(data)
        except aiortc_guard.MALFORMED:
            return  # the guard has said so
        for packet in packets:
            if isinstance(packet, RtcpSrPacket):
                report(packet)

    vars(dtls)["_handle_rtcp_data"] = heard


async def send(connection: RTCPeerConnection, rtcp: bytes) -> None:
    """Encrypt and send it. Raises ConnectionError where nobody is connected."""
    await connection.getTransceivers()[0].receiver.transport._send_rtp(rtcp)


def agreed(transceiver: RTCRtpTransceiver) -> list[RTCRtpCodecParameters]:
    """What may be sent to us here, with retransmissions; nothing where the answer says that nothing is."""
    if transceiver.currentDirection != "recvonly":
        return []
    return list(transceiver._codecs)
