"""The simulated TEE device as one guest meets it: it quotes what the host itself measured."""

from __future__ import annotations

import threading
from pathlib import Path

from manatee._clock import Clock
from manatee.backends._guest_folder import GuestSpec
from manatee.errors import AttestationError
from manatee.records import Evidence, digest_record
from manatee.runtime import runtime_digest

_PATIENCE_SECONDS = 60.0


class MeasuringDevice:
    """Measures while the guest starts; evidence waits until the measurement is there."""

    def __init__(self, spec: GuestSpec, clock: Clock) -> None:
        self._spec = spec
        self._clock = clock
        self._ready = threading.Event()
        self._measured: str | None = None

    def measure(self) -> bool:
        """Measure the runtime on disk.

        Returns:
            Whether it is the one the launch was planned with; else no evidence is ever given.
        """
        # imported here: the guest is starting meanwhile and does not wait for it
        import manatee.attestation  # noqa: F401

        spec = self._spec
        found = runtime_digest(Path(spec.runtime), cache=Path(spec.runtime_cache))
        if found == spec.runtime_digest:
            self._measured = found
            self._ready.set()
        return found == spec.runtime_digest

    def evidence(self, report_data: bytes) -> Evidence:
        """Quote 64 bytes.

        Raises:
            AttestationError: The guest was not measured, or the bytes are not 64.
        """
        from manatee.attestation import SimulatedClaims, SimulatedDevice

        if not self._ready.wait(_PATIENCE_SECONDS) or self._measured is None:
            raise AttestationError("the guest was not measured.")
        claims = SimulatedClaims(
            runtime_digest=self._measured,
            job_digest=digest_record(self._spec.plan.manifest),
            debug=False,
        )
        device = SimulatedDevice.open(Path(self._spec.device_folder), self._clock)
        return device.quote(report_data, claims)
