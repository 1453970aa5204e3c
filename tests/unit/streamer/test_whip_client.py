import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from appliance.bus.messages import IceServer
from appliance.errors import UnavailableError
from appliance.streamer.whip_client import Resource, delete_resource, linked, post_offer

pytestmark = pytest.mark.unit

STUN = "<stun:stun.example>; rel=ice-server"
TURN = (
    '<turn:turn.example?transport=udp>; rel="ice-server"; username="user"; credential="my, pass;word"; '
    'credential-type="password"'
)
RELAY = IceServer(urls=["turn:turn.example?transport=udp"], username="user", password="my, pass;word")


@pytest.mark.parametrize("headers", [[STUN, TURN], [f"{STUN}, {TURN}"], [f"{STUN},{TURN}"]])
def test_servers_are_read_from_one_header_or_several(headers: list[str]) -> None:
    assert linked(headers) == [IceServer(urls=["stun:stun.example"]), RELAY]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        "<https://example/style.css>; rel=stylesheet",
        '<https://example>; rel="ice-server"',
        "<turn:>; rel=ice-server",
        "<turn:a b>; rel=ice-server",
        "<stun:stun.example>",
        "<turn:turn.example:99999>; rel=ice-server",
        "<turn:turn.example:0>; rel=ice-server",
        "<stun:stun.example:3478?transport=udp>; rel=ice-server",
    ],
)
def test_what_is_no_ice_server_is_left_out(header: str) -> None:
    assert linked([header, TURN]) == [RELAY]


def test_a_server_does_not_make_us_ask_dozens() -> None:
    assert len(linked([STUN] * 50)) == 8


def test_a_server_that_is_not_there_is_told_in_plain_words() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(UnavailableError, match=r"^Connection refused$"):
            post_offer(f"http://127.0.0.1:{nobody.getsockname()[1]}/whip", "", "v=0")


class Server(HTTPServer):
    """Redirects to `elsewhere`, else takes every offer; `seen` is each method with its Authorization."""

    def __init__(self, elsewhere: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.elsewhere = elsewhere
        self.seen: list[tuple[str, str | None]] = []
        self.answering = threading.Event()
        self.answering.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/whip"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self._answer(307 if self.server.elsewhere else 201, self.server.elsewhere or "/whip/1")

    def do_DELETE(self) -> None:
        self._answer(200, "")

    def _answer(self, status: int, location: str) -> None:
        self.server.seen.append((self.command, self.headers["Authorization"]))
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.server.answering.wait()
        self.send_response(status)
        self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def served(elsewhere: str = "") -> Iterator[Server]:
    with Server(elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_the_token_is_for_the_server_that_it_was_given_for_and_no_other() -> None:
    with served() as other, served(other.url) as first:
        answer = post_offer(first.url, "secret", "v=0")
        assert answer.resource == f"{other.url}/1"
        delete_resource(answer.resource, first.url, "secret")
    assert first.seen == [("POST", "Bearer secret")]
    assert other.seen == [("POST", None), ("DELETE", None)]


def test_what_is_deleted_while_it_is_offered_is_deleted_once() -> None:
    with served() as server, ThreadPoolExecutor() as pool:
        resource = Resource(server.url, "")
        server.answering.clear()
        posting = pool.submit(resource.post, "v=0")
        resource.delete()
        server.answering.set()
        posting.result()
        resource.delete()
    assert server.seen == [("POST", None), ("DELETE", None)]


def test_the_end_is_told_with_the_token() -> None:
    with served() as server:
        delete_resource(post_offer(server.url, "secret", "v=0").resource, server.url, "secret")
        delete_resource("http://[", server.url, "secret")
    assert server.seen == [("POST", "Bearer secret"), ("DELETE", "Bearer secret")]
