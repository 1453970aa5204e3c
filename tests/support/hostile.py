"""Packets that no honest viewer sends: RTCP and RTP, well-formed, absurd and mutated, from a seed."""

import random
import struct
from collections.abc import Callable

SR, RR, SDES, BYE, APP, RTPFB, PSFB, XR = range(200, 208)
NACK, TRANSPORT_FEEDBACK = 1, 15
PLI, FIR, REMB = 1, 4, 15
_NACK_ENTRIES_MAX = 300  # of one packet that fits the network
_RTCP_AT_LEAST = 8  # what SRTCP leaves in the clear


def rtcp(kind: int, count: int, payload: bytes) -> bytes:
    """One RTCP packet, padded to whole words."""
    payload += bytes(-len(payload) % 4)
    return struct.pack("!BBH", 0x80 | count, kind, len(payload) // 4) + payload


def feedback(kind: int, fmt: int, media: int, fci: bytes = b"", sender: int = 1) -> bytes:
    """RTPFB or PSFB, RFC 4585 section 6.1."""
    return rtcp(kind, fmt, struct.pack("!LL", sender, media) + fci)


def pli(media: int) -> bytes:
    """Picture loss."""
    return feedback(PSFB, PLI, media)


def fir(media: int, number: int) -> bytes:
    """Full intra request, RFC 5104 section 4.3.1."""
    return feedback(PSFB, FIR, 0 if number % 2 else media, struct.pack("!LB3x", media, number % 256))


def report(sender: int) -> bytes:
    """An empty receiver report from one more source."""
    return rtcp(RR, 0, struct.pack("!L", sender))


def nack_of_everything(media: int, first: int) -> bytes:
    """The largest NACK that fits: 5100 sequence numbers from `first` on."""
    entries = (struct.pack("!HH", (first + 17 * n) & 0xFFFF, 0xFFFF) for n in range(_NACK_ENTRIES_MAX))
    return feedback(RTPFB, NACK, media, b"".join(entries))


class Fuzzer:
    """Endless packets about the stream `media`."""

    def __init__(self, seed: int, media: int) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._media = media

    def rtcp(self) -> bytes:
        """One packet or several, in half of all cases mutated; enough of a header for SRTCP."""
        makers: tuple[Callable[[], bytes], ...] = (
            self._nack, self._transport_feedback, self._remb, self._report, self._sdes, self._bye, self._any
        )  # fmt: skip
        packet = b"".join(self._random.choice(makers)() for _ in range(self._random.choice((1, 1, 1, 2, 5))))
        packet = (self._mutated(packet) if self._random.random() < 0.5 else packet)[:1300]
        packet += bytes(max(0, _RTCP_AT_LEAST - len(packet)))
        return bytes((packet[0] & 0x3F | 0x80, 192 + packet[1] % 17)) + packet[2:]

    def rtp(self) -> bytes:
        """A packet that SRTP takes, whatever is in it: lying extensions, padding, sources."""
        sources = self._random.choice((0, 0, 1, 15))
        first = 0x80 | self._random.getrandbits(1) << 5 | sources
        second = self._random.choice((96, 97, 98, 99, 100, 111, 0, 127)) | self._random.getrandbits(1) << 7
        second = 0 if 192 <= second < 224 else second  # that would be RTCP
        ssrc = self._random.choice((self._media, 1, self._random.getrandbits(32)))
        header = struct.pack(
            "!BBHLL", first, second, self._random.getrandbits(16), self._random.getrandbits(32), ssrc
        )
        body = self._random.randbytes(4 * sources)
        if self._random.getrandbits(1):
            header = bytes((header[0] | 0x10,)) + header[1:]
            words = self._random.randrange(5)
            profile = self._random.choice((0xBEDE, 0x1000, self._random.getrandbits(16)))
            body += struct.pack("!HH", profile, words) + self._random.randbytes(4 * words)
        return header + body + self._random.randbytes(self._random.choice((0, 1, 2, 20, 900)))

    def noise(self) -> bytes:
        """A datagram of no protocol, or of the first bytes of one."""
        start = self._random.choice(
            (b"", b"\x16\xfe\xfd", b"\x17\xfe\xfd", b"\0\1\0\x08\x21\x12\xa4\x42", b"\x80\xc8")
        )
        return start + self._random.randbytes(self._random.randrange(1, 600))

    def _word(self) -> int:
        return self._random.choice((self._media, 0, 1, 0xFFFFFFFF, self._random.getrandbits(32)))

    def _nack(self) -> bytes:
        fci = self._random.randbytes(4 * self._random.randrange(60))
        return feedback(RTPFB, NACK, self._media, fci, self._word())

    def _transport_feedback(self) -> bytes:
        """draft-holmer-rmcat-transport-wide-cc-extensions-01, with counts that lie."""
        base, count = self._random.getrandbits(16), self._random.choice((0, 1, 14, 200, 0xFFFF))
        fci = struct.pack("!HHL", base, count, self._random.getrandbits(32))
        for _ in range(self._random.randrange(12)):
            run = self._random.getrandbits(2) << 13 | self._random.choice((1, 100, 0x1FFF))
            fci += struct.pack("!H", self._random.choice((run, 0x8000 | self._random.getrandbits(15))))
        fci += self._random.randbytes(self._random.choice((0, 1, 14, 300)))
        return feedback(RTPFB, TRANSPORT_FEEDBACK, self._media, fci, self._word())

    def _remb(self) -> bytes:
        """draft-alvestrand-rmcat-remb-03: more or fewer sources than it says, any rate."""
        streams = self._random.choice((0, 1, 2, 255))
        fci = b"REMB" + bytes((streams,)) + self._random.randbytes(3)
        fci += b"".join(struct.pack("!L", self._word()) for _ in range(self._random.randrange(4)))
        return feedback(PSFB, REMB, self._random.choice((0, self._media)), fci)

    def _report(self) -> bytes:
        blocks = self._random.randrange(4)
        body = struct.pack("!L", self._word())
        kind = self._random.choice((SR, RR))
        if kind == SR:
            body += self._random.randbytes(20)
        for _ in range(blocks):
            body += struct.pack("!L", self._word()) + self._random.randbytes(20)
        return rtcp(kind, self._random.choice((blocks, blocks, 31)), body)

    def _sdes(self) -> bytes:
        items = b"".join(
            struct.pack("!BB", self._random.randrange(9), self._random.randrange(256))
            + self._random.randbytes(7)
            for _ in range(self._random.randrange(4))
        )
        return rtcp(SDES, self._random.randrange(4), struct.pack("!L", self._word()) + items)

    def _bye(self) -> bytes:
        sources = self._random.randrange(4)
        body = b"".join(struct.pack("!L", self._word()) for _ in range(sources))
        return rtcp(BYE, self._random.choice((sources, 31)), body)

    def _any(self) -> bytes:
        kind = self._random.choice((RTPFB, PSFB, APP, XR, 192, 195))
        payload = struct.pack("!LL", self._word(), self._word()) + self._random.randbytes(
            self._random.randrange(80)
        )
        return rtcp(kind, self._random.randrange(32), payload)

    def _mutated(self, packet: bytes) -> bytes:
        changed = bytearray(packet)
        for _ in range(self._random.randrange(1, 6)):
            match self._random.randrange(5):
                case 0 if changed:
                    changed[self._random.randrange(len(changed))] = self._random.getrandbits(8)
                case 1 if changed:
                    changed[self._random.randrange(len(changed))] ^= 1 << self._random.randrange(8)
                case 2:
                    del changed[self._random.randrange(len(changed) + 1) :]
                case 3:
                    changed += self._random.randbytes(self._random.randrange(1, 40))
                case _:
                    changed[2:4] = struct.pack("!H", self._random.choice((0, 1, 0xFFFF, len(changed) // 4)))
        return bytes(changed)
