"""The dumb relay between a guest and key brokers: bytes in, bytes out, unread.

What passes is protected end to end (evidence, HPKE), so the relay may be hostile. It only caps
sizes and times.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from manatee.errors import BrokerUnreachableError, NotFoundError

TIMEOUT_SECONDS = 30.0
MAX_RELAYED_BYTES = 4 << 20
"""Cap of a request to a broker and of its answer."""


@dataclass(frozen=True)
class RelayedAnswer:
    """A broker's answer, passed on as it is."""

    status: int
    media_type: str
    body: bytes


class BrokerRelay:
    """Posts to the brokers of one job and to nothing else."""

    def __init__(self, urls: Mapping[str, str], *, timeout: float = TIMEOUT_SECONDS) -> None:
        self._urls = dict(urls)
        self._timeout = timeout

    def post(self, broker_id: str, action: str, body: bytes) -> RelayedAnswer:
        """Relay one request; redirects are not followed.

        Raises:
            NotFoundError: The job has no such broker.
            BrokerUnreachableError: The broker did not answer in time, or with too much.
        """
        if broker_id not in self._urls:
            raise NotFoundError("this job has no such key broker.")
        url = urlsplit(self._urls[broker_id])
        secure = url.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        try:
            connection = kind(url.hostname or "", url.port, timeout=self._timeout)
            try:
                path = f"{url.path.rstrip('/')}/v1/{action}"
                connection.request("POST", path, body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                data = answer.read(MAX_RELAYED_BYTES + 1)
                media_type = answer.getheader("Content-Type", "application/octet-stream")
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise BrokerUnreachableError(
                f"key broker {broker_id} did not answer.", hint="Is it running? Then try again."
            ) from error
        if len(data) > MAX_RELAYED_BYTES:
            raise BrokerUnreachableError(f"key broker {broker_id} answered too much.")
        safe = media_type if media_type.isascii() and media_type.isprintable() else "text/plain"
        return RelayedAnswer(answer.status, safe, data)
