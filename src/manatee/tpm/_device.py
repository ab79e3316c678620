"""A TPM as an attester uses it: measure, then quote. Any TPM that the software stack reaches.

`device:/dev/tpmrm0` is a machine's own; `swtpm:path=…` a software TPM's socket.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from manatee.attestation import TPM_MEDIA_TYPE, Event, PcrValue, TpmPayload
from manatee.errors import AttestationError
from manatee.records import (
    Endorsement,
    Evidence,
    canonical_json,
    raw_digest,
    to_base64,
)
from manatee.tpm._library import tss

RUNTIME_PCR = 8
JOB_PCR = 9
QUOTED_PCRS = (RUNTIME_PCR, JOB_PCR)
NONCE_BYTES = 32


class VtpmDevice:
    """One open TPM and its attestation key. Safe for threads: one command at a time."""

    def __init__(self, context: Any, key: Any, ak_public: bytes, certificate: bytes) -> None:
        """See `open`."""
        self._context = context
        self._key = key
        self._ak_public = ak_public
        self._certificate = certificate
        self._events: list[Event] = []
        self._lock = threading.Lock()

    @classmethod
    @contextmanager
    def open(cls, tcti: str, certificate: Path) -> Iterator[VtpmDevice]:
        """Connect to a TPM and make its attestation key anew: the same one every time.

        Args:
            tcti: How to reach the TPM, as the software stack writes it.
            certificate: DER certificate of its attestation key.

        Raises:
            AttestationError: The TPM does not answer, or the certificate is not there.
        """
        with connected(tcti) as context:
            try:
                der = certificate.read_bytes()
            except OSError as error:
                raise AttestationError(
                    f"the attestation key's certificate {certificate} cannot be read."
                ) from error
            key, public = create_attestation_key(context)
            yield cls(context, key, public, der)

    def measure_runtime(self, digest: str) -> None:
        """Extend the runtime's register. Call once, before the guest starts."""
        self._measure(RUNTIME_PCR, "runtime", digest)

    def measure_job(self, digest: str) -> None:
        """Extend the job's register with the digest of its manifest. Call once, as above."""
        self._measure(JOB_PCR, "job", digest)

    def _measure(self, pcr: int, kind: str, digest: str) -> None:
        event = Event(pcr=pcr, kind=kind, digest=digest)  # type: ignore[arg-type]  # two literals
        with self._lock, translated("measure"):
            extend(self._context, pcr, raw_digest(digest))
            self._events.append(event)

    def quote(self, data: bytes) -> Evidence:
        """Quote the measured registers over a nonce.

        Raises:
            AttestationError: The nonce is not 32 bytes, or the TPM fails.
        """
        if len(data) != NONCE_BYTES:
            raise AttestationError(f"a TPM quotes over a nonce of {NONCE_BYTES} bytes here.")
        with self._lock, translated("quote"):
            attest, signature, values = read_quote(self._context, self._key, data)
            events = tuple(self._events)
        payload = TpmPayload(
            attest=to_base64(attest),
            signature=to_base64(signature),
            ak_public=to_base64(self._ak_public),
            pcrs=tuple(PcrValue(pcr=pcr, value=value.hex()) for pcr, value in values.items()),
            events=events,
        )
        certificate = Endorsement(name="certificate", payload=to_base64(self._certificate))
        return Evidence(
            media_type=TPM_MEDIA_TYPE,
            payload=to_base64(canonical_json(payload)),
            endorsements=(certificate,),
        )


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the software stack's errors into ours."""
    library = tss()
    try:
        yield
    except (library.TSS2_Exception, ValueError, TypeError, RuntimeError, OSError) as error:
        raise AttestationError(f"the TPM did not {what}.") from error


@contextmanager
def connected(tcti: str) -> Iterator[Any]:
    """Connect to a TPM while the block runs.

    Raises:
        AttestationError: It does not answer.
    """
    library = tss()
    with translated("answer"):
        context = library.ESAPI(tcti)
    try:
        yield context
    finally:
        context.close()


def create_attestation_key(context: Any) -> tuple[Any, bytes]:
    """Return the attestation key's handle and TPMT_PUBLIC.

    It is a primary key: derived from the TPM's endorsement seed and a fixed template, so the same
    TPM always gives the same key. ECDSA P-256, restricted to what the TPM makes itself.

    Raises:
        AttestationError: The TPM fails.
    """
    library = tss()
    with translated("make its attestation key"):
        template = library.TPM2B_PUBLIC.parse(
            alg="ecc256:ecdsa-sha256:null",
            objectAttributes="fixedtpm|fixedparent|sensitivedataorigin|userwithauth"
            "|restricted|sign",
        )
        handle, public, _, _, _ = context.create_primary(
            library.TPM2B_SENSITIVE_CREATE(), template, library.ESYS_TR.ENDORSEMENT
        )
        return handle, bytes(public.publicArea.marshal())


def extend(context: Any, pcr: int, digest: bytes) -> None:
    """Extend a register of the SHA-256 bank."""
    library = tss()
    values = library.TPML_DIGEST_VALUES(
        [library.TPMT_HA(hashAlg=library.TPM2_ALG.SHA256, digest=library.TPMU_HA(sha256=digest))]
    )
    context.pcr_extend(library.ESYS_TR(pcr), values)


def read_quote(context: Any, key: Any, nonce: bytes) -> tuple[bytes, bytes, dict[int, bytes]]:
    """Return TPMS_ATTEST, TPMT_SIGNATURE and the registers that they cover."""
    library = tss()
    selection = library.TPML_PCR_SELECTION.parse(f"sha256:{','.join(map(str, QUOTED_PCRS))}")
    attest, signature = context.quote(key, selection, nonce)
    _, _, digests = context.pcr_read(selection)
    values = dict(zip(QUOTED_PCRS, (bytes(item) for item in digests), strict=True))
    return bytes(attest), bytes(signature.marshal()), values
