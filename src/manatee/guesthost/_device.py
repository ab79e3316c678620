"""The TEE device as one guest meets it: it quotes what the host itself measured."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from manatee._clock import Clock
from manatee.backends._guest_folder import GuestSpec
from manatee.errors import AttestationError
from manatee.records import Evidence, EvidenceKind, digest_record
from manatee.runtime import runtime_digest

_PATIENCE_SECONDS = 60.0


class _Quoter(Protocol):
    """A device that has taken the guest's measurements."""

    def quote(self, data: bytes) -> Evidence: ...


class MeasuringDevice:
    """Measures while the guest starts; evidence waits until the measurement is there."""

    def __init__(self, spec: GuestSpec, clock: Clock, run_folder: Path) -> None:
        """Stand ready.

        Args:
            spec: The launch; it names the device's kind, and there is no other.
            clock: Dates what is dated.
            run_folder: Private folder of this host process, for a TPM's socket.
        """
        self.kind: EvidenceKind = spec.device
        self._spec = spec
        self._clock = clock
        self._run_folder = run_folder
        self._ready = threading.Event()
        self._quoter: _Quoter | None = None
        self._open = ExitStack()

    def measure(self) -> bool:
        """Measure the runtime on disk and the job, and give both to the device.

        Returns:
            Whether the runtime is the one the launch was planned with; else no evidence is ever
            given.

        Raises:
            AttestationError: The device cannot be had.
        """
        spec = self._spec
        if self.kind == "simulated":
            # imported here: the guest is starting meanwhile and does not wait for it
            import manatee.attestation  # noqa: F401
        found = runtime_digest(Path(spec.runtime), cache=Path(spec.runtime_cache))
        if found != spec.runtime_digest:
            return False
        job = digest_record(spec.plan.manifest)
        self._quoter = self._simulated(found, job) if self.kind == "simulated" else self._tpm(job)
        self._ready.set()
        return True

    def _simulated(self, runtime: str, job: str) -> _Quoter:
        from manatee.attestation import SimulatedClaims, SimulatedDevice

        device = SimulatedDevice.open(Path(self._spec.device_folder), self._clock)
        claims = SimulatedClaims(runtime_digest=runtime, job_digest=job, debug=False)

        class Simulated:
            def quote(self, data: bytes) -> Evidence:
                return device.quote(data, claims)

        return Simulated()

    def _tpm(self, job: str) -> _Quoter:
        """Start this guest's own TPM, as a hypervisor does, and measure into it as firmware does.

        A fresh TPM has zero in every register, and 8 to 15 cannot be set back while it runs.
        """
        from manatee.tpm import SoftwareTpms

        tpms = SoftwareTpms(Path(self._spec.device_folder), self._clock)
        device = self._open.enter_context(tpms.power_on(self._run_folder))
        device.measure_runtime(self._spec.runtime_digest)
        device.measure_job(job)
        return device

    def evidence(self, data: bytes) -> Evidence:
        """Quote over the binding in this kind's form.

        Raises:
            AttestationError: The guest was not measured, or the bytes have another length.
        """
        if not self._ready.wait(_PATIENCE_SECONDS) or self._quoter is None:
            raise AttestationError("the guest was not measured.")
        return self._quoter.quote(data)

    def close(self) -> None:
        """End the device; it gives no more evidence."""
        self._open.close()
