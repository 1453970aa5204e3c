"""Addresses that come and go while a streamer runs, in a network namespace of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
PROGRAM = """
import subprocess
from appliance.streamer import aiortc_adapter
from appliance.streamer.aioice_adapter import host_addresses

def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, timeout=10)

aiortc_adapter.install()
print(host_addresses())
ip("link", "set", "lo", "up")
ip("addr", "add", "192.0.2.7/32", "dev", "lo")
print(host_addresses())
ip("addr", "add", "fd99::7/128", "dev", "lo")  # with nodad it is told only later
print(host_addresses())
ip("addr", "del", "192.0.2.7/32", "dev", "lo")
print(host_addresses())
"""


def test_every_change_is_seen_at_once() -> None:
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", PROGRAM],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "['127.0.0.1']", "['192.0.2.7']", "['192.0.2.7', 'fd99::7']", "['fd99::7']"
    ]  # fmt: skip
