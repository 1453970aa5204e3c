"""How media is received without aiortc's receivers: privates of aiortc, each with a test.

Those acknowledge and decode, and give a frame away only when the next one begins.
"""

from collections.abc import Callable

from aiortc import RTCPeerConnection, RTCRtpTransceiver
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtcpSrPacket, RtpPacket

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
    aiortc_guard.guard(connection, media, report, media_bytes=media_bytes)


async def send(connection: RTCPeerConnection, rtcp: bytes) -> None:
    """Encrypt and send it. Raises ConnectionError where nobody is connected."""
    await connection.getTransceivers()[0].receiver.transport._send_rtp(rtcp)


def agreed(transceiver: RTCRtpTransceiver) -> list[RTCRtpCodecParameters]:
    """What may be sent to us here, with retransmissions; nothing where the answer says that nothing is."""
    if transceiver.currentDirection != "recvonly":
        return []
    return list(transceiver._codecs)
