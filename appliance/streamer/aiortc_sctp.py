"""The adapter's part for data channels: the same in fewer packets, each of which costs both ends a wake-up.

Each private has a test that fails when it moves.
"""

from collections.abc import Iterable, Iterator

from aiortc.rtcsctptransport import Chunk, DataChunk, InitAckChunk, RTCSctpTransport

_INIT = RTCSctpTransport._init
_HANDLE_DATA = RTCSctpTransport._handle_data
_SEND_CHUNK = RTCSctpTransport._send_chunk
_BEGIN_SECONDS = 0.5
_AT_ONCE = 8
"""Flag of a chunk to be acknowledged at once (RFC 7053), while we are awake: else it is 0.2 s later."""
_PACKET_BYTES = 1200  # beside the header of SCTP; a message of that length has a packet of its own


class _Together(Chunk):
    """Several that go in one packet."""

    def __bytes__(self) -> bytes:
        return self.body


def install() -> None:
    """Change what aiortc does for the whole process."""
    transport = RTCSctpTransport
    transport._init = _begin  # type: ignore[method-assign]
    transport._handle_data = _answer  # type: ignore[method-assign]
    transport._send_chunk = _send  # type: ignore[method-assign]


async def _begin(self: RTCSctpTransport) -> None:
    """Leave the beginning to the DTLS client: both begin (RFC 8841 section 9.3), and one is enough.

    Who waits for us as well is begun with after a while, as if what we sent before had been lost.
    """
    if not self.is_server:
        await _INIT(self)
        return
    usual, self._rto = self._rto, _BEGIN_SECONDS
    vars(self)["_kept"] = []
    await _INIT(self)
    del vars(self)["_kept"]
    self._rto = usual


async def _answer(self: RTCSctpTransport, data: bytes) -> None:
    """All that a packet leads to goes out in one, too (RFC 9260 section 6.10)."""
    kept: list[Chunk] = []
    vars(self)["_kept"] = kept
    try:
        await _HANDLE_DATA(self, data)
        await self._data_channel_flush()
    finally:
        del vars(self)["_kept"]
    for packet in _packets(kept):
        await _SEND_CHUNK(self, _Together(body=packet))


async def _send(self: RTCSctpTransport, chunk: Chunk) -> None:
    if isinstance(chunk, DataChunk) and not self._outbound_queue:
        chunk.flags |= _AT_ONCE
    kept: list[Chunk] | None = vars(self).get("_kept")
    if kept is None or isinstance(chunk, InitAckChunk):  # which has to be alone
        await _SEND_CHUNK(self, chunk)
    else:
        kept.append(chunk)


def _packets(chunks: Iterable[Chunk]) -> Iterator[bytes]:
    """What fits together, data last as it has to be."""
    packet = b""
    for each in map(bytes, sorted(chunks, key=lambda chunk: isinstance(chunk, DataChunk))):
        if packet and len(packet) + len(each) > _PACKET_BYTES:
            yield packet
            packet = b""
        packet += each
    if packet:
        yield packet
