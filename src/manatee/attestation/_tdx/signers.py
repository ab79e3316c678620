"""Who may sign Intel's collateral: the TCB signing certificate and no other below Intel's root.

Platforms' own PCK certificates end in the same root. Without this check, whoever extracts the key
of one platform could write TCB info for all (Intel, PCS API 4.0, "TCB Info Issuer Chain").
"""

from __future__ import annotations

from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import NameOID

from manatee.attestation._certificates import read_pem_chain
from manatee.attestation._tdx.collateral import QuoteCollateral
from manatee.errors import AppraisalRefusedError, MalformedError

TCB_SIGNER = "Intel SGX TCB Signing"
_SGX_EXTENSION = x509.ObjectIdentifier("1.2.840.113741.1.13.1")
"""Only certificates of platforms carry it."""


@lru_cache(maxsize=8)
def check_signers(collateral: QuoteCollateral) -> None:
    """Check the role of the certificates that sign TCB info and QE identity.

    Their signatures and paths are the verifying library's to check. The last few collaterals whose
    signers were right are remembered by content.

    Raises:
        AppraisalRefusedError: One belongs to somebody else.
        MalformedError: A chain cannot be read.
    """
    for chain in {collateral.tcb_info_issuer_chain, collateral.qe_identity_issuer_chain}:
        try:
            encoded = chain.encode("ascii")
        except UnicodeEncodeError as error:
            raise MalformedError("a chain of Intel's collateral is not PEM.") from error
        signer = read_pem_chain(encoded, at_most=4)[0]
        names = signer.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        platform = any(item.oid == _SGX_EXTENSION for item in signer.extensions)
        if platform or [item.value for item in names] != [TCB_SIGNER]:
            raise AppraisalRefusedError(
                "the collateral is not signed by Intel's TCB signing certificate."
            )
