"""The one place where the DCAP library is called, and where its errors become ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from manatee.attestation._tdx.collateral import QuoteCollateral
from manatee.errors import AppraisalRefusedError, AttestationError, MalformedError

_MAX_REASON = 200


@dataclass(frozen=True)
class DcapResult:
    """What the library found: the platform's patch level in Intel's words."""

    status: str
    advisories: tuple[str, ...]


def _reason(error: BaseException) -> str:
    text = str(error).removeprefix("Verification failed: ")
    return text.encode("ascii", "replace").decode()[:_MAX_REASON] or type(error).__name__


def verify_quote(
    quote: bytes, collateral: QuoteCollateral, root: bytes, at: datetime
) -> DcapResult:
    """Verify signatures, certificates, revocation, QE identity and TCB at a given time.

    Args:
        quote: Without padding.
        collateral: Its parts; a PCK chain beside them is left out.
        root: Intel's SGX root CA, DER.
        at: The moment to verify at.

    Raises:
        AppraisalRefusedError: It does not verify; the message carries the library's reason.
        MalformedError: The library cannot read it.
        AttestationError: The library is not installed.
    """
    library = _library()
    try:
        parsed = library.QuoteCollateralV3(
            collateral.pck_crl_issuer_chain,
            bytes.fromhex(collateral.root_ca_crl),
            bytes.fromhex(collateral.pck_crl),
            collateral.tcb_info_issuer_chain,
            collateral.tcb_info,
            bytes.fromhex(collateral.tcb_info_signature),
            collateral.qe_identity_issuer_chain,
            collateral.qe_identity,
            bytes.fromhex(collateral.qe_identity_signature),
        )
        report = library.verify_with_root_ca(quote, parsed, root, int(at.timestamp()))
        status, advisories = str(report.status), tuple(map(str, report.advisory_ids))
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise AppraisalRefusedError(_reason(error)) from error
    except BaseException as error:
        _translate_panic(error)
        raise
    return DcapResult(status, advisories)


def _translate_panic(error: BaseException) -> None:
    """Turn a panic of the library's, which is not an `Exception`, into malformed input."""
    if type(error).__name__ == "PanicException":
        raise MalformedError("the quote cannot be read by the DCAP library.") from error


def _library() -> Any:
    try:
        import dcap_qvl
    except ImportError as error:
        raise AttestationError(
            "TDX quotes need the DCAP library.", hint="pip install 'manatee[attest]'"
        ) from error
    return dcap_qvl
