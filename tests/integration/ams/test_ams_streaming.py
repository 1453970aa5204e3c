"""From `POST /1.0/instances` to a client that sees the application and talks with it."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from tests.support.ams import office, with_applications
from tests.support.viewer import negotiate

pytestmark = pytest.mark.integration

PARROT = """
import os, pathlib, socket, time
here = pathlib.Path(os.environ["FANLIGHT_INSTANCE_DIR"])
while not (path := here / "sockets" / "webrtc_data_parrot").exists():
    time.sleep(0.05)
talk = socket.socket(socket.AF_UNIX)
talk.connect(str(path))
while heard := talk.recv(1000):
    talk.sendall((here / "userdata").read_bytes() + heard)
"""


async def test_a_client_joins_plays_and_talks_with_the_application() -> None:
    application = {"name": "parrot", "kind": "command", "command": ["python3", "-c", PARROT], "size": "64x64"}
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    answers = asyncio.Queue[bytes]()
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        async with asyncio.timeout(40), office(Path(short), with_applications(application)) as here:
            address = await here.launch(
                "parrot", user_data="you said: ", config={"enable_streaming": True}, ephemeral=True
            )
            (tag,) = (await here.get(address))["tags"]
            join = f"/1.0/sessions/{tag.removeprefix('session=')}/join"
            status, joined = await here.street.api("POST", join, here.token, json={})
            assert status == 200
            channel = peer.createDataChannel("parrot")
            channel.on("open", lambda: channel.send("hello"))
            channel.on("message", answers.put_nowait)
            async with here.http.ws_connect(joined["metadata"]["url"]) as socket:
                await negotiate(socket, peer)
                assert await answers.get() == b"you said: hello"
                video = next(each.receiver.track for each in peer.getTransceivers() if each.kind == "video")
                assert (await video.recv()).width == 64
                await peer.close()
                # Its program ends with its client, and the instance with its program.
                async with asyncio.timeout(20):
                    while (await here.api("GET", address))[0] == 200:
                        await asyncio.sleep(0.05)
