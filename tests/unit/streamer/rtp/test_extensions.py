import pytest

from appliance.streamer.rtp.extensions import Extensions
from tests.support.wire import EXTENSIONS

pytestmark = pytest.mark.unit


def test_the_number_alone_takes_eight_bytes() -> None:
    alone = EXTENSIONS.number_alone()
    assert alone.stamped(0) == bytes.fromhex("bede0001 41 0000 00")
    assert alone.sequence_at == 5


@pytest.mark.parametrize("extensions", [Extensions(), Extensions(b"\x10\0\0\1\4\2\0\0", sequence_at=6)])
def test_where_it_is_not_to_be_had_alone_all_stays(extensions: Extensions) -> None:
    assert extensions.number_alone() is extensions
