"""GStreamer's webrtcbin as a player of WHEP, run by Debian's interpreter: its bindings are no wheel.

`/usr/bin/python3 gst_player.py URL TOKEN CA`: prints `KIND CODEC` for every stream that is decoded, and
leaves when it is terminated. Packages: packaging/packages.sh.
"""

import signal
import ssl
import sys
import threading
import urllib.request
from typing import Any
from urllib.parse import urljoin

import gi

for library in ("Gst", "GstWebRTC", "GstSdp"):
    gi.require_version(library, "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

CAPS = {
    "video": "application/x-rtp,media=video,encoding-name=H264,payload=96,clock-rate=90000,"
    "packetization-mode=(string)1,profile-level-id=(string)42e01f",
    "audio": "application/x-rtp,media=audio,encoding-name=OPUS,payload=111,clock-rate=48000,"
    "encoding-params=(string)2",
}
DECODERS = {
    "H264": "rtph264depay ! h264parse ! openh264dec ! fakesink name=sink signal-handoffs=true sync=false",
    "OPUS": "rtpopusdepay ! opusdec ! fakesink name=sink signal-handoffs=true sync=false",
}
FRAMES = 10
"""So many must be decoded before a stream is told of."""


class Player:
    """One webrtcbin, and a decoder for each of its streams."""

    def __init__(self) -> None:
        self.pipeline = Gst.Pipeline()
        self.bin = Gst.ElementFactory.make("webrtcbin")
        self.bin.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self.pipeline.add(self.bin)
        receive = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
        for caps in CAPS.values():
            self.bin.emit("add-transceiver", receive, Gst.Caps.from_string(caps))
        self.bin.connect("pad-added", self._decode)
        self.pipeline.set_state(Gst.State.PLAYING)

    def offer(self) -> str:
        """With all candidates."""
        promise = _promised(self.bin, "create-offer", None)
        reply = promise.get_reply()  # both must live on: what they hold is not copied
        gathered = threading.Event()
        self.bin.connect("notify::ice-gathering-state", lambda *_: self._is_gathered() and gathered.set())
        _promised(self.bin, "set-local-description", reply.get_value("offer"))
        if not self._is_gathered():
            gathered.wait(10)
        return str(self.bin.get_property("local-description").sdp.as_text())

    def answered(self, sdp: str) -> None:
        """Begin to play."""
        _, message = GstSdp.SDPMessage.new_from_text(sdp)
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        _promised(self.bin, "set-remote-description", answer)

    def _is_gathered(self) -> bool:
        state = self.bin.get_property("ice-gathering-state")
        return bool(state == GstWebRTC.WebRTCICEGatheringState.COMPLETE)

    def _decode(self, _: Any, pad: Any) -> None:
        if pad.get_direction() != Gst.PadDirection.SRC:
            return
        caps = pad.get_current_caps().get_structure(0)
        kind, codec = caps.get_string("media"), caps.get_string("encoding-name")
        decoder = Gst.parse_bin_from_description("queue ! " + DECODERS[codec], ghost_unlinked_pads=True)
        frames = iter(range(1, FRAMES + 1))
        decoder.get_by_name("sink").connect(
            "handoff", lambda *_: next(frames, 0) == FRAMES and print(kind, codec, flush=True)
        )
        self.pipeline.add(decoder)
        decoder.sync_state_with_parent()
        pad.link(decoder.get_static_pad("sink"))


def _promised(element: Any, action: str, argument: Any) -> Any:
    promise = Gst.Promise.new()
    element.emit(action, argument, promise)
    promise.wait()
    return promise


def main() -> None:
    url, token, ca = sys.argv[1:]
    trust = ssl.create_default_context(cafile=ca)
    known = {"Authorization": f"Bearer {token}"}
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    Gst.init(None)
    threading.Thread(target=GLib.MainLoop().run, daemon=True).start()
    player = Player()
    offer = player.offer().encode()
    asked = urllib.request.Request(url, offer, known | {"Content-Type": "application/sdp"})  # noqa: S310
    with urllib.request.urlopen(asked, context=trust) as answer:  # noqa: S310
        viewer = urljoin(url, answer.headers["Location"])
        player.answered(answer.read().decode())
    signal.sigwait({signal.SIGTERM})
    left = urllib.request.Request(viewer, headers=known, method="DELETE")  # noqa: S310
    with urllib.request.urlopen(left, context=trust) as answer:  # noqa: S310
        print("left", answer.status, flush=True)
    player.pipeline.set_state(Gst.State.NULL)


main()
