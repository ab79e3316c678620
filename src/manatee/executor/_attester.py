"""Where evidence comes from. No kind is ever detected or fallen back to: the job names it."""

from __future__ import annotations

from typing import Protocol

from manatee.errors import AttestationError
from manatee.executor._channel import GuestChannel
from manatee.records import Evidence


class Attester(Protocol):
    """Makes evidence of one kind."""

    kind: str

    def evidence(self, report_data: bytes) -> Evidence:
        """Return evidence over 64 bytes of report data.

        Raises:
            AttestationError: The device does not give any.
        """


class SimulatedAttester:
    """NOT A TEE: asks the host's simulated device, whose evidence says what it is."""

    kind = "simulated"

    def __init__(self, channel: GuestChannel) -> None:
        self._channel = channel

    def evidence(self, report_data: bytes) -> Evidence:
        """Return simulated evidence. Raises GuestChannelError."""
        return self._channel.evidence(report_data)


_KINDS = {"sandbox": SimulatedAttester}
"""Backend kind to the attester its guests have."""


def attester_for(backend_kind: str, channel: GuestChannel) -> Attester:
    """Return the attester of guests of one backend.

    Raises:
        AttestationError: Guests of that backend have none here.
    """
    try:
        return _KINDS[backend_kind](channel)
    except KeyError:
        raise AttestationError(f"no attester for guests of backend {backend_kind!r}.") from None
