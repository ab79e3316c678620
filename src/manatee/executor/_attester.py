"""Where evidence comes from. No kind is ever detected or fallen back to: the job names it."""

from __future__ import annotations

from typing import Protocol

from manatee.errors import AttestationError
from manatee.executor._channel import GuestChannel
from manatee.records import Evidence, EvidenceKind, evidence_nonce, report_data


class Attester(Protocol):
    """Makes evidence of one kind."""

    kind: EvidenceKind

    def evidence(self, bound: bytes) -> Evidence:
        """Return evidence over what `records.binding` gave.

        Raises:
            AttestationError: The device does not give any.
        """


class SimulatedAttester:
    """NOT A TEE: asks the host's simulated device, whose evidence says what it is."""

    kind: EvidenceKind = "simulated"

    def __init__(self, channel: GuestChannel) -> None:
        self._channel = channel

    def evidence(self, bound: bytes) -> Evidence:
        """Return simulated evidence. Raises GuestChannelError."""
        return self._channel.evidence(self.kind, report_data(bound))


class TpmAttester:
    """Asks the TPM of the guest's machine for a quote; measurements were taken at its start."""

    kind: EvidenceKind = "tpm2"

    def __init__(self, channel: GuestChannel) -> None:
        self._channel = channel

    def evidence(self, bound: bytes) -> Evidence:
        """Return a quote. Raises GuestChannelError."""
        return self._channel.evidence(self.kind, evidence_nonce(bound))


_KINDS: dict[str, type[SimulatedAttester] | type[TpmAttester]] = {
    "sandbox": SimulatedAttester,
    "sandbox-tpm": TpmAttester,
}
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
