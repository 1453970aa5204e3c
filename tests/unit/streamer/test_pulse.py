"""The wire format of the sound server's protocol, and where the server is looked for."""

import asyncio
import os
import select
import socket
import struct
from pathlib import Path

import pytest

from appliance.errors import UnavailableError
from appliance.streamer.pulse import _DESCRIPTOR, _decode, _encode, connect, server_address

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("configured", "environ", "address"),
    [
        ("unix:/tmp/sound", {}, "unix:/tmp/sound"),
        ("/tmp/sound", {}, "unix:/tmp/sound"),
        ("", {"PULSE_SERVER": "{0123abc}unix:/run/a unix:/run/b"}, "unix:/run/a"),
        ("", {"PULSE_SERVER": "tcp:music.local:4714"}, "tcp:music.local:4714"),
        ("", {"PULSE_SERVER": "tcp4:music.local"}, "tcp:music.local:4713"),
        ("", {"PULSE_SERVER": "music.local"}, "tcp:music.local:4713"),
        ("unix:/a", {"PULSE_SERVER": "unix:/b"}, "unix:/a"),
    ],
)
def test_the_server_is_where_it_is_said_to_be(configured: str, environ: dict[str, str], address: str) -> None:
    assert server_address(configured, environ) == address


def test_the_users_own_server_is_the_default(tmp_path: Path) -> None:
    (tmp_path / "pulse").mkdir()
    (tmp_path / "pulse" / "native").touch()
    assert server_address("", {"XDG_RUNTIME_DIR": str(tmp_path)}) == f"unix:{tmp_path}/pulse/native"


def test_values_survive_the_wire() -> None:
    properties = {"application.process.id": "42"}
    data = b"".join(map(_encode, (7, "speakers", b"\1\2", properties)))
    assert _decode(data) == [7, "speakers", b"\1\2", {"application.process.id": b"42"}]


def test_every_kind_of_value_is_stepped_over() -> None:
    data = b"".join(
        (
            b"N", b"1", b"0", b"B\5", b"U" + bytes(8), b"a" + bytes(6), b"m\2\1\2", b"v\2" + bytes(8),
            b"V\0\0\0\1", b"P" + b"N", b"L\0\0\0\11",
        )
    )  # fmt: skip
    values = _decode(data)
    assert (values[0], values[1], values[2], values[3], values[-1]) == (None, True, False, 5, 9)
    assert len(values) == 11


@pytest.mark.parametrize("data", [b"?", b"L\0", b"tno end", b"Ptkey\0"])
def test_what_is_no_value_is_refused(data: bytes) -> None:
    with pytest.raises((ValueError, IndexError, struct.error)):
        _decode(data)


async def test_no_server_is_told_by_its_address(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"no sound server at unix:.*native"):
        async with connect(f"unix:{tmp_path}/native"):
            pass


async def test_a_server_that_asks_late_who_it_is_is_told(tmp_path: Path) -> None:
    told: list[int] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            select.select([connection], [], [])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            for tag in (1, 2):
                _, ((*_, credentials),), *_ = connection.recvmsg(4096, socket.CMSG_SPACE(12))
                told.append(struct.unpack("3i", credentials)[0])
                answer = b"".join(map(_encode, (2, tag)))
                connection.sendall(_DESCRIPTOR.pack(len(answer), 0, 0, 0, 0) + answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "native"))
        listener.listen()
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(serve, listener))
            async with connect(f"unix:{tmp_path}/native"):
                pass
    assert told == [os.getpid()] * 2
