import pytest

from appliance.bus.connection import BusAddress

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("url", ["nats://me:secret@bus.example:4222", "nats://secret@bus.example:4222"])
def test_an_address_that_is_shown_holds_no_secret(url: str) -> None:
    address = BusAddress(url, "me", "secret")
    assert str(address) == "nats://bus.example:4222"
    assert "secret" not in f"{address}"
