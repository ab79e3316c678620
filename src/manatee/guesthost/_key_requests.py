"""Requests for keys go out one per broker, and only once the service has recorded them.

Who stops a project, or who must find out later which keys a run asked for, depends on this
order: the guest asks, the host notes it, the service records it and allows it, the host passes it
on and notes the answer. As long as no service runs, no key is asked for.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable

from manatee._clock import monotonic
from manatee.backends._guest_folder import GuestFolder
from manatee.errors import (
    BrokerUnreachableError,
    ConflictError,
    MalformedError,
    NotFoundError,
    TooLargeError,
)
from manatee.guesthost._relay import BrokerRelay, RelayedAnswer
from manatee.records import (
    KeyAnswer,
    KeyRequest,
    ReleaseAnswer,
    digest_bytes,
    read_record,
    unbase64,
)

PERMISSION_SECONDS = 300.0
"""How long a request waits for the service: longer than a restart of it takes."""

_PAUSE_SECONDS = 0.005


class KeyRequestGate:
    """Lets a guest's requests for keys pass, in order.

    Args:
        folder: The guest's; what is asked, allowed and answered stands there.
        relay: To the brokers.
        broker_ids: The brokers of the job.
        patience_seconds: How long a request waits to be allowed.
    """

    def __init__(
        self,
        folder: GuestFolder,
        relay: BrokerRelay,
        broker_ids: frozenset[str],
        *,
        patience_seconds: float = PERMISSION_SECONDS,
    ) -> None:
        self._folder = folder
        self._relay = relay
        self._broker_ids = broker_ids
        self._patience_seconds = patience_seconds
        self._lock = threading.Lock()

    def release(self, broker_id: str, body: bytes) -> RelayedAnswer:
        """Pass a request on and return the answer.

        Raises:
            NotFoundError: The job has no such broker.
            ConflictError: The guest asked this broker before.
            BrokerUnreachableError: The service did not allow it in time, or the guest is being
                cancelled, or the broker did not answer.
        """
        if broker_id not in self._broker_ids:
            raise NotFoundError("this job has no such key broker.")
        with self._lock:
            if not self._folder.note_key_request(broker_id):
                raise ConflictError("this broker was asked for keys before.")
        self._wait(lambda: self._folder.key_request_allowed(broker_id))
        answer = self._relay.post(broker_id, "release", body)
        self._folder.note_key_answer(_noted(broker_id, answer))
        return answer

    def _wait(self, allowed: Callable[[], bool]) -> None:
        give_up = monotonic() + self._patience_seconds
        while not allowed():
            if self._folder.cancel_file.exists():
                raise BrokerUnreachableError("the guest is being cancelled.")
            if monotonic() > give_up:
                raise BrokerUnreachableError(
                    "the service did not record the request for keys.",
                    hint="Does a reconciler run? Then submit the job again.",
                )
            time.sleep(_PAUSE_SECONDS)
        if self._folder.cancel_file.exists():
            raise BrokerUnreachableError("the guest is being cancelled.")


def _noted(broker_id: str, answer: RelayedAnswer) -> KeyRequest:
    if answer.status == http.client.OK:
        return KeyRequest(broker_id=broker_id, answer="released", decision=_entry(answer.body))
    refused = answer.status < http.client.INTERNAL_SERVER_ERROR
    word: KeyAnswer = "denied" if refused else "failed"
    return KeyRequest(broker_id=broker_id, answer=word)


def _entry(body: bytes) -> str | None:
    """Return the digest of the broker's log entry, if the answer is one."""
    try:
        answer = read_record(body, ReleaseAnswer, what="answer")
        return digest_bytes(unbase64(answer.decision))
    except (MalformedError, TooLargeError):
        return None
