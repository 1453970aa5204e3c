"""The peer to beat outside: GStreamer's webrtcbin, one encoder for all viewers.

`/usr/bin/python3 bench/gstreamer.py --port N [--fps N] [--kbps N] [--synthetic]`: serves a page that plays
the $DISPLAY, or sends slices of random bytes. By Debian's interpreter: its bindings are no wheel. Packages:
gstreamer1.0-plugins-{base,good,bad,ugly}, gstreamer1.0-x, gstreamer1.0-nice, gir1.2-gst-plugins-bad-1.0,
python3-gi.
"""

import argparse
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import gi

for library in ("Gst", "GstWebRTC", "GstSdp"):
    gi.require_version(library, "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

PAGE = Path(__file__).with_name("page.html")
GATHER_SECONDS = 5
SCREEN = (
    "ximagesrc use-damage=false show-pointer=true ! video/x-raw,framerate={fps}/1 ! videoconvert"
    " ! video/x-raw,format=I420 ! x264enc tune=zerolatency speed-preset=ultrafast threads=1 bitrate={kbps}"
    " vbv-buf-capacity=125 key-int-max={gop} byte-stream=true ! video/x-h264,profile=constrained-baseline"
)
SYNTHETIC = "appsrc name=source is-live=true do-timestamp=true format=time caps=video/x-h264,stream-format=byte-stream,alignment=au"  # noqa: E501
RTP = "application/x-rtp,media=video,encoding-name=H264,payload=102,clock-rate=90000"
OFFERED = RTP + ",packetization-mode=(string)1"
PACKETS = (
    " ! rtph264pay name=packetizer config-interval=-1 aggregate-mode=zero-latency mtu=1200 pt=102"
    f" ! {RTP} ! tee name=fan allow-not-linked=true"
)


class Server:
    """The pipeline, and one webrtcbin a viewer."""

    def __init__(self, options: argparse.Namespace) -> None:
        source = SYNTHETIC if options.synthetic else SCREEN
        source = source.format(fps=options.fps, kbps=options.kbps, gop=2 * options.fps)
        self._pipeline = Gst.parse_launch(source + PACKETS)
        self._fan = self._pipeline.get_by_name("fan")
        self._viewers: list[Any] = []
        self._pipeline.set_state(Gst.State.PLAYING)
        if options.synthetic:
            frame = b"\0\0\0\1\x65" + bytes(
                1 + n * 7919 % 251 for n in range(options.kbps * 125 // options.fps)
            )
            threading.Thread(target=self._feed, args=(frame, options.fps), daemon=True).start()

    def offer(self) -> dict[str, Any]:
        """A viewer more, and what it is offered."""
        queue, viewer = Gst.ElementFactory.make("queue"), Gst.ElementFactory.make("webrtcbin")
        viewer.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        for element in (queue, viewer):
            self._pipeline.add(element)
        queue.link(viewer)
        transceiver = viewer.emit("get-transceiver", 0)
        transceiver.set_property("direction", GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY)
        transceiver.set_property("do-nack", True)
        transceiver.set_property("codec-preferences", Gst.Caps.from_string(OFFERED))
        for element in (viewer, queue):
            element.sync_state_with_parent()
        self._fan.request_pad_simple("src_%u").link(queue.get_static_pad("sink"))
        promise = _promised(viewer, "create-offer", None)
        reply = promise.get_reply()  # both must live on: what they hold is not copied
        made = reply.get_value("offer")
        _promised(viewer, "set-local-description", made)
        deadline = time.monotonic() + GATHER_SECONDS
        complete = GstWebRTC.WebRTCICEGatheringState.COMPLETE
        while viewer.get_property("ice-gathering-state") != complete and time.monotonic() < deadline:
            time.sleep(0.01)
        self._viewers.append(viewer)
        sdp = viewer.get_property("local-description").sdp.as_text()
        return {"id": len(self._viewers) - 1, "type": "offer", "sdp": sdp}

    def answer(self, viewer: int, sdp: str) -> None:
        """What the viewer answered; its names that only mDNS knows are left out."""
        known = "".join(line + "\r\n" for line in sdp.splitlines() if ".local" not in line)
        _, message = GstSdp.SDPMessage.new_from_text(known)
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        _promised(self._viewers[viewer], "set-remote-description", answer)

    def sequence(self) -> int:
        """The sequence number of the newest packet; it wraps at 65536."""
        stats = self._pipeline.get_by_name("packetizer").get_property("stats")
        return int(stats.get_uint("seqnum")[1])

    def _feed(self, frame: bytes, fps: int) -> None:
        source, began, number = self._pipeline.get_by_name("source"), time.monotonic(), 0
        while True:
            source.emit("push-buffer", Gst.Buffer.new_wrapped(frame))
            number += 1
            time.sleep(max(0, began + number / fps - time.monotonic()))


def _promised(element: Any, action: str, argument: Any) -> Any:
    promise = Gst.Promise.new()
    element.emit(action, argument, promise)
    promise.wait()
    return promise


class Handler(BaseHTTPRequestHandler):
    """The page, offers, answers, and the number of the newest packet."""

    server_version = "bench"
    media: Server

    def do_GET(self) -> None:
        if self.path == "/sequence":
            self._say(str(self.media.sequence()).encode(), "text/plain")
        else:
            self._say(PAGE.read_bytes(), "text/html")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.path == "/offer":
            self._say(json.dumps(self.media.offer()).encode(), "application/json")
        else:
            self.media.answer(int(self.path.rpartition("/")[2]), body)
            self._say(b"", "text/plain")

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def _say(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--kbps", type=int, default=4000)
    parser.add_argument("--synthetic", action="store_true")
    options = parser.parse_args()
    Gst.init(None)
    threading.Thread(target=GLib.MainLoop().run, daemon=True).start()
    Handler.media = Server(options)
    server = ThreadingHTTPServer((options.address, options.port), Handler)
    print(f"ready http://{options.address}:{options.port}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
