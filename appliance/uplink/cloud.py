"""What AWS is asked by way of botocore, and whose credentials: the channel, its endpoints, ICE servers."""

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from appliance.bus.messages import IceServer
from appliance.config import KinesisUplinkSection
from appliance.errors import UnavailableError
from appliance.signaling.sigv4 import Credentials, presign

_CONNECT_SECONDS, _READ_SECONDS = 3, 5
_LEASE_SECONDS = 300
_SKEWED = ("Signature expired", "Signature not yet current")
_WORDS = 300
"""Characters of somebody else's message that are worth showing."""
_NOT_INSTALLED = "the uplink needs botocore, which is not installed"
_INSTALL = f"sudo ./install.sh --with-aws, or {sys.executable} -m pip install 'botocore>=1.44,<2'"
_LOCATE = "give credentials where AWS's tools look for them: see docs/operations.md"


class CloudError(UnavailableError):
    """The cloud does not do what it is asked; `fix` is what a person can do about that."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Lease:
    """ICE servers, and for how many seconds their credentials hold."""

    servers: list[IceServer]
    seconds: float


class Cloud:
    """One channel, by its name. Calls raise CloudError; botocore blocks, so it works in threads."""

    def __init__(self, section: KinesisUplinkSection) -> None:
        self._section = section
        self._session: Any = None
        self._video: Any = None
        self._signaling: Any = None
        self._arn = ""

    async def socket_url(self) -> str:
        """A URL that opens the socket of the channel's master within the next five minutes."""
        return await asyncio.to_thread(self._socket_url)

    async def ice_servers(self) -> Lease:
        """Once the channel was found."""
        return await asyncio.to_thread(self._ice_servers)

    def _socket_url(self) -> str:
        try:
            with _faults():
                return self._presigned()
        except CloudError:
            self._session = None  # next time there may be other credentials
            raise

    def _presigned(self) -> str:
        if self._session is None:
            self._begin()
        with contextlib.closing(self._video):  # its idle connections: the next call is far away
            self._arn = self._find()
            endpoints = self._endpoints()
        self._signaling = self._client("kinesis-video-signaling", endpoints["HTTPS"])
        found = self._session.get_credentials().get_frozen_credentials()
        proof = Credentials(found.access_key, found.secret_key, found.token or "")
        url = f"{endpoints['WSS']}?X-Amz-ChannelARN={quote(self._arn, safe='')}"
        return presign(proof, self._section.region, url, now=datetime.now(UTC))

    def _begin(self) -> None:
        import botocore.session

        self._session = botocore.session.Session()
        self._video = self._client("kinesisvideo", self._section.endpoint)

    def _client(self, service: str, endpoint: str) -> Any:
        from botocore.config import Config

        return self._session.create_client(
            service,
            region_name=self._section.region,
            endpoint_url=endpoint or None,
            verify=self._section.ca or None,
            config=Config(
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=_READ_SECONDS,
                retries={"total_max_attempts": 1},  # who calls tries again, and is seen to
            ),
        )

    def _find(self) -> str:
        """The ARN of the channel, which is made where it is not there and may be."""
        name = self._section.channel
        missing = self._video.exceptions.ResourceNotFoundException
        try:
            return str(self._video.describe_signaling_channel(ChannelName=name)["ChannelInfo"]["ChannelARN"])
        except missing:
            if not self._section.create:
                what = f"there is no channel {name} in {self._section.region}"
                raise CloudError(what, "create it, or set create = true in [kinesis.uplink]") from None
        return str(self._video.create_signaling_channel(ChannelName=name)["ChannelARN"])

    def _endpoints(self) -> dict[str, str]:
        found = self._video.get_signaling_channel_endpoint(
            ChannelARN=self._arn,
            SingleMasterChannelEndpointConfiguration={"Protocols": ["WSS", "HTTPS"], "Role": "MASTER"},
        )
        return {each["Protocol"]: each["ResourceEndpoint"] for each in found["ResourceEndpointList"]}

    def _ice_servers(self) -> Lease:
        with _faults(), contextlib.closing(self._signaling):
            found = self._signaling.get_ice_server_config(ChannelARN=self._arn)["IceServerList"]
        servers = [
            IceServer(urls=each["Uris"], username=each["Username"], password=each["Password"])
            for each in found
        ]
        seconds = min((each["Ttl"] for each in found), default=_LEASE_SECONDS)
        return Lease([*self._stun(), *servers], seconds)

    def _stun(self) -> list[IceServer]:
        """AWS's own, whose name all of its SDKs know by heart; there is none beside other endpoints."""
        host = urlsplit(self._video.meta.endpoint_url).hostname or ""
        return [IceServer(urls=[f"stun:stun.{host}:443"])] if host.startswith("kinesisvideo.") else []


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    """Raise CloudError for all that botocore fails with, or because it is not there."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
    except ImportError:
        raise CloudError(_NOT_INSTALLED, _INSTALL) from None
    try:
        yield
    except ClientError as exc:
        raise refusal(str(exc)) from exc
    except NoCredentialsError as exc:
        raise CloudError("no AWS credentials were found", _LOCATE) from exc
    except (BotoCoreError, ValueError, OSError) as exc:
        raise CloudError(_shown(str(exc))) from exc


def refusal(text: str) -> CloudError:
    """What AWS says when it refuses something, for people."""
    text = _shown(text)
    if any(words in text for words in _SKEWED):
        return CloudError(f"the clock of this box is wrong: {text}", "timedatectl set-ntp true")
    return CloudError(text)


def _shown(text: str) -> str:
    """The first line: further ones may repeat the request, and with it a session token."""
    return next(iter(text.splitlines()), "")[:_WORDS]
