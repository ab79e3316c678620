"""The one place that goes to the network, and where its errors become ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from manatee._clock import monotonic
from manatee.collateral._item import MAX_ITEM_BYTES
from manatee.errors import (
    AppraisalUnavailableError,
    AttestationError,
    MalformedError,
    NotFoundError,
    TooLargeError,
)

if TYPE_CHECKING:
    import httpx

TIMEOUT_SECONDS = 10.0
"""Longest wait for a connection or the next bytes."""

TOTAL_SECONDS = 60.0
"""Longest time one answer may take in all, however steadily it trickles."""


@dataclass(frozen=True)
class Answer:
    """A body of at most `MAX_ITEM_BYTES`, and the headers by lower-case name."""

    body: bytes
    headers: Mapping[str, str]
    source: str


class Downloader:
    """Gets documents over HTTPS. Follows no redirect and sends no credential."""

    def __init__(
        self,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        total_seconds: float = TOTAL_SECONDS,
        insecure_http: bool = False,
    ) -> None:
        """Make a client.

        Args:
            timeout_seconds: Longest wait for a connection or the next bytes.
            total_seconds: Longest time for one answer.
            insecure_http: Allow addresses without TLS, for servers on this machine.

        Raises:
            AttestationError: httpx is not installed.
        """
        try:
            import httpx
        except ImportError as error:
            raise AttestationError(
                "fetching collateral needs httpx.", hint="pip install 'manatee[cli]'"
            ) from error
        self._schemes = ("https://", "http://") if insecure_http else ("https://",)
        self._total = total_seconds
        self._http: httpx.Client = httpx.Client(
            timeout=timeout_seconds,
            follow_redirects=False,
            trust_env=False,
            headers={"accept-encoding": "identity"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(self, address: str) -> Answer:
        """Get one document.

        Raises:
            NotFoundError: The server knows no such document.
            AppraisalUnavailableError: It did not answer, too slowly, or with an error.
            TooLargeError: The body is over `MAX_ITEM_BYTES`.
            MalformedError: The address is none, or the body is not what HTTP says it is.
        """
        return self._send("GET", address)

    def post(self, address: str, body: bytes, *, content_type: str) -> Answer:
        """Ask a question and get its answer. Raises as `get` does."""
        return self._send("POST", address, body, {"content-type": content_type})

    def _send(
        self,
        method: str,
        address: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        import httpx

        if not address.startswith(self._schemes):
            raise MalformedError("collateral is fetched over https:// alone.")
        host = address.split("/")[2]
        end = monotonic() + self._total
        try:
            with self._http.stream(method, address, content=body, headers=headers) as response:
                return _read(response, address, host, end)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise AppraisalUnavailableError(
                f"{host} did not answer ({type(error).__name__}).",
                hint="What is in the cache stays as it was. Try again later.",
            ) from error


def _read(response: httpx.Response, address: str, host: str, end: float) -> Answer:
    if response.status_code == 404:
        raise NotFoundError(f"{host} knows no such document.")
    if response.status_code != 200:
        raise AppraisalUnavailableError(
            f"{host} answered with HTTP status {response.status_code}.",
            hint="What is in the cache stays as it was. Try again later.",
        )
    if response.headers.get("content-encoding", "identity") != "identity":
        # a small answer could unpack to any size
        raise MalformedError(f"{host} sends a compressed body, which was not asked for.")
    body = bytearray()
    for chunk in response.iter_raw():  # as it arrives: filled chunks would hide a trickle
        body += chunk
        if len(body) > MAX_ITEM_BYTES:
            raise TooLargeError(f"{host} sends over {MAX_ITEM_BYTES} bytes; they are not read.")
        if monotonic() > end:
            raise AppraisalUnavailableError(f"{host} sends too slowly.")
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(bytes(body), headers, address)
