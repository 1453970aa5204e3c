"""The X11 set-up, spoken to a server that is made of bytes."""

import asyncio
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw import x11

pytestmark = pytest.mark.unit


def record(number: str, secret: bytes, name: bytes = b"MIT-MAGIC-COOKIE-1", family: int = 256) -> bytes:
    fields = (b"box", number.encode(), name, secret)
    return struct.pack(">H", family) + b"".join(struct.pack(">H", len(each)) + each for each in fields)


def test_cookies_of_this_display_and_of_all_displays_are_read(tmp_path: Path) -> None:
    file = tmp_path / "Xauthority"
    file.write_bytes(
        record("1", b"other")
        + record("0", b"ours")
        + record("", b"any")
        + record("0", b"xdm", b"XDM-AUTHORIZATION-1")
    )
    assert [cookie.data for cookie in x11.read_cookies(file, ":0")] == [b"ours", b"any"]
    assert "ours" not in repr(x11.read_cookies(file, ":0"))


def test_a_missing_file_has_no_cookies(tmp_path: Path) -> None:
    assert x11.read_cookies(tmp_path / "nothing", ":0") == []


@given(junk=st.binary(max_size=200))
def test_no_content_of_the_file_does_harm(junk: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "junk"
    file.write_bytes(record("0", b"good") + junk)
    assert x11.read_cookies(file, ":0")[0].data == b"good"


@pytest.mark.parametrize("name", ["", "0", ":x", ":-1", "host", ":123456"])
async def test_what_is_no_display_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a display"):
        await x11.handshake(name)


async def answered(answer: bytes) -> tuple[int, int]:
    """Shake hands over TCP with a server that says `answer`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(12)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        number = server.sockets[0].getsockname()[1] - 6000
        return await x11.handshake(f"127.0.0.1:{number}")


async def test_the_server_s_own_words_are_the_reason() -> None:
    text = b"Authorization required"
    padded = text + bytes(-len(text) % 4)
    with pytest.raises(x11.RefusedError, match=r"^Authorization required$"):
        await answered(struct.pack("<BBHHH", 0, len(text), 11, 0, len(padded) // 4) + padded)


async def test_an_answer_cut_short_is_an_error_and_no_screen() -> None:
    with pytest.raises(ValueError, match="cut short"):
        await answered(struct.pack("<BBHHH", 1, 0, 11, 0, 4) + bytes(16))
    with pytest.raises(asyncio.IncompleteReadError):
        await answered(b"\1")
