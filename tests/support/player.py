"""What WHEP players send, and a streamer that lets them in."""

from dataclasses import dataclass, field

from appliance.bus import subjects
from appliance.bus.messages import Done
from appliance.bus.peer_messages import PeerEvent, PeerReply
from appliance.errors import NotFoundError
from tests.support.gateway import FakeStreamer

OFFER = """v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
a=fingerprint:sha-256 00
a=setup:actpass
a=mid:0
a=recvonly
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=rtpmap:97 H264/90000
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=mid:1
a=recvonly
a=rtpmap:111 opus/48000/2
""".replace("\n", "\r\n")

CANDIDATE = "candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host"

FRAGMENT = f"""a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
m=video 9 UDP/TLS/RTP/SAVPF 96
a=mid:0
a={CANDIDATE}
a=end-of-candidates
""".replace("\n", "\r\n")

ANSWER = "v=0\r\ns=answer\r\n"


@dataclass
class PlayerStreamer(FakeStreamer):
    """Answers offers as a Session does, which looks now and then who listens, and knows who is there."""

    answer: str = ANSWER
    peers: set[str] = field(default_factory=set)

    async def _heard(self, event: PeerEvent) -> Done:
        self.seen.append(event)
        self.events.put_nowait(event)
        if event.kind == "open":
            if self.refuses:
                raise self.refuses
            self.peers.add(event.peer)
        elif event.peer not in self.peers:
            raise NotFoundError(f"viewer {event.peer} is not here (any more)")
        elif event.kind == "kick":
            self.peers.discard(event.peer)
        elif event.text.startswith("v=0"):
            for text in ("", self.answer):
                reply = PeerReply(kind="message", text=text)
                await self.bus.publish(subjects.down(self.session, event.peer), reply)
        return Done()
