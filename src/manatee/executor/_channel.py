"""The guest channel: HTTP over one unix socket to a host that is not believed."""

from __future__ import annotations

import http.client
import re
import socket
from pathlib import Path
from typing import TypeVar

from manatee.errors import (
    BrokerUnreachableError,
    GuestChannelError,
    KeyDeniedError,
    MalformedError,
    ManateeError,
    TooLargeError,
)
from manatee.records import (
    MAX_JSON_BYTES,
    Challenge,
    ChallengeRequest,
    Evidence,
    EvidenceKind,
    EvidenceRequest,
    GuestEvent,
    GuestResult,
    Problem,
    Record,
    ReleaseAnswer,
    ReleaseRequest,
    canonical_json,
    read_record,
    to_base64,
)

TIMEOUT_SECONDS = 60.0
"""Longest silence of the host; a key broker behind it may be far away."""

RELEASE_TIMEOUT_SECONDS = 400.0
"""Longest silence while keys are asked for: the host waits until the service has recorded it."""

_CHECK_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")

R = TypeVar("R", bound=Record)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("guest", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class GuestChannel:
    """Client of the guest channel; one connection per request, nothing kept."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def evidence(self, kind: EvidenceKind, data: bytes) -> Evidence:
        """Ask the TEE device for evidence of one kind over the binding in that kind's form.

        Raises:
            GuestChannelError: The host did not answer with evidence.
        """
        request = EvidenceRequest(kind=kind, data=to_base64(data))
        status, body = self._call("POST", "/v1/evidence", canonical_json(request))
        if status != http.client.OK:
            raise GuestChannelError(f"the host answered {status} when asked for evidence.")
        return self._read(body, Evidence, what="evidence")

    def challenge(self, broker_id: str, request: ChallengeRequest) -> Challenge:
        """Ask a key broker for a nonce. Raises as `release`."""
        return self._broker(broker_id, "challenge", request, Challenge)

    def release(self, broker_id: str, request: ReleaseRequest) -> ReleaseAnswer:
        """Ask a key broker for data keys.

        Raises:
            KeyDeniedError: It refused; `check` says at which check.
            BrokerUnreachableError: It did not answer, or not now.
            GuestChannelError: The host's answer is not one.
        """
        return self._broker(broker_id, "release", request, ReleaseAnswer)

    def event(self, event: GuestEvent) -> None:
        """Tell the host of progress. Raises GuestChannelError."""
        self._expect_empty("POST", "/v1/events", canonical_json(event))

    def outputs(self, data: bytes) -> None:
        """Hand over the sealed outputs. Raises GuestChannelError."""
        self._expect_empty("PUT", "/v1/outputs", data, media_type="application/octet-stream")

    def result(self, result: GuestResult) -> None:
        """Hand over the result: once, last. Raises GuestChannelError."""
        self._expect_empty("PUT", "/v1/result", canonical_json(result))

    def _broker(self, broker_id: str, step: str, request: Record, kind: type[R]) -> R:
        path = f"/v1/brokers/{broker_id}/{step}"
        timeout = RELEASE_TIMEOUT_SECONDS if step == "release" else TIMEOUT_SECONDS
        status, body = self._call("POST", path, canonical_json(request), timeout=timeout)
        if status == http.client.OK:
            return self._read(body, kind, what=f"the key broker's {step}")
        raise self._refusal(broker_id, status, body)

    def _refusal(self, broker_id: str, status: int, body: bytes) -> ManateeError:
        try:
            problem = read_record(body, Problem, what="problem", max_bytes=MAX_JSON_BYTES)
        except (MalformedError, TooLargeError):
            problem = Problem(type="", title="", status=status, code="", detail="")
        passing = status >= http.client.INTERNAL_SERVER_ERROR or status in {
            http.client.REQUEST_TIMEOUT,
            http.client.TOO_MANY_REQUESTS,
        }
        if problem.code != KeyDeniedError.code and passing:
            return BrokerUnreachableError(f"key broker {broker_id} answered {status}.")
        check = problem.check or "request"
        return KeyDeniedError(
            check if _CHECK_NAME.fullmatch(check) else "request",
            f"key broker {broker_id} refused with {status}.",
        )

    def _expect_empty(
        self, method: str, path: str, body: bytes, *, media_type: str = "application/json"
    ) -> None:
        status, _ = self._call(method, path, body, media_type=media_type)
        if status != http.client.NO_CONTENT:
            raise GuestChannelError(f"the host answered {status} to {method} {path}, not 204.")

    def _read(self, body: bytes, kind: type[R], *, what: str) -> R:
        try:
            return read_record(body, kind, what=what)
        except (MalformedError, TooLargeError) as error:
            raise GuestChannelError(f"the host's answer is no good: {error}") from error

    def _call(
        self,
        method: str,
        path: str,
        body: bytes,
        *,
        media_type: str = "application/json",
        timeout: float = TIMEOUT_SECONDS,
    ) -> tuple[int, bytes]:
        connection = _UnixConnection(self._path, timeout)
        try:
            connection.request(method, path, body=body, headers={"Content-Type": media_type})
            answer = connection.getresponse()
            data = answer.read(MAX_JSON_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise GuestChannelError(f"no answer on the guest channel to {path}.") from error
        finally:
            connection.close()
        if len(data) > MAX_JSON_BYTES:
            raise GuestChannelError(f"the answer to {path} is over {MAX_JSON_BYTES} bytes.")
        return answer.status, data
