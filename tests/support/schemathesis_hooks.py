"""Leads generated calls to what is there: a schema cannot say which applications run and what time it is."""

import os
import time
from typing import Any

import schemathesis

from appliance.bus.nkey import UserKey

for _kind in ("application/sdp", "application/trickle-ice-sdpfrag"):
    schemathesis.serializer.alias(_kind, "text/plain")

_PLENTY = 100_000
_LATEST = 2**53
_codes = os.environ.get("ENROLL_CODES", "").split()


@schemathesis.hook("map_body").apply_to(operation_id="create_session")
def launch_what_is_there(_: Any, body: Any) -> Any:
    """Any name becomes the one there is; what is no name stays what it is."""
    if isinstance(body, dict) and isinstance(body.get("app"), str) and body["app"]:
        body = {**body, "app": "demo"}
        if isinstance(body.get("region"), str):
            body["region"] = ""
    return body


@schemathesis.hook("map_body").apply_to(operation_id=["create_share", "change_share"])
def end_in_time(_: Any, body: Any) -> Any:
    """Any unix time becomes one in which a share may end."""
    end = body.get("expiry_at") if isinstance(body, dict) else None
    if type(end) is int and 0 <= end < _LATEST:
        body = {**body, "expiry_at": int(time.time()) + 3600}
    return body


@schemathesis.hook("map_body").apply_to(operation_id="change_config")
def stay_quick(_: Any, body: Any) -> Any:
    """A rate that is valid and low would end the test with 429s."""
    rate = body.get("max_http_requests_per_second") if isinstance(body, dict) else None
    if type(rate) is int and 1 <= rate <= _PLENTY:
        body = {**body, "max_http_requests_per_second": _PLENTY}
    return body


@schemathesis.hook("map_body").apply_to(operation_id="create_instance")
def create_what_is_there(_: Any, body: Any) -> Any:
    """Any name becomes the one there is, and hundreds of instances only exist."""
    if isinstance(body, dict) and isinstance(body.get("app_id"), str) and body["app_id"]:
        body = {**body, "app_id": "demo"}
        if isinstance(body.get("no_start"), bool | None):
            body["no_start"] = True
    return body


@schemathesis.hook("map_body").apply_to(operation_id="enroll")
def enrol_as_long_as_there_are_codes(_: Any, body: Any) -> Any:
    """Any key becomes one that a box could have, any code one that is good once."""
    if isinstance(body, dict) and all(isinstance(body.get(name), str) for name in ("code", "key")) and _codes:
        body = {**body, "code": _codes.pop(), "key": UserKey.new().public}
    return body
