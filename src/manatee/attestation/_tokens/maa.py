"""Appraisal of Microsoft Azure Attestation tokens of confidential VMs (SEV-SNP)."""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import Any

from manatee.attestation._endorsements import Endorsements
from manatee.attestation._expected import ExpectedBinding
from manatee.attestation._images import match_image
from manatee.attestation._interface import (
    AttestationResult,
    Check,
    Claims,
    Mark,
    check,
    first_refusal,
)
from manatee.attestation._reference import ReferenceValues
from manatee.attestation._tokens.jwt import (
    Token,
    member,
    need,
    read_times,
    read_token,
    signature_holds,
    text_member,
    times_hold,
)
from manatee.attestation._tokens.keys import find_key
from manatee.attestation._tokens.reference import MaaReference
from manatee.records import Evidence, Tier, unbase64

KIND = "azure-maa"
MEDIA_TYPE = "application/vnd.manatee.azure-maa+jwt"
ALGORITHM = "RS256"
NOTHING_ALLOWED = MaaReference(issuers=(), compliance_statuses=(), minimum_svn={})
_TEE = "x-ms-isolation-tee"
_SVNS = {
    "bootloader": "x-ms-sevsnpvm-bootloader-svn",
    "tee": "x-ms-sevsnpvm-tee-svn",
    "snp": "x-ms-sevsnpvm-snpfw-svn",
    "microcode": "x-ms-sevsnpvm-microcode-svn",
}
_MEASURED = {
    "measurement": "x-ms-sevsnpvm-launchmeasurement",
    "host-data": "x-ms-sevsnpvm-hostdata",
    "id-key-digest": "x-ms-sevsnpvm-idkeydigest",
}
_NO_DEBUGGER = {
    "x-ms-azurevm-debuggersdisabled": True,
    "x-ms-azurevm-bootdebug-enabled": False,
    "x-ms-azurevm-kerneldebug-enabled": False,
    "x-ms-azurevm-hypervisordebug-enabled": False,
    "x-ms-azurevm-testsigning-enabled": False,
}
"""What Azure read in the log of the VM's boot, beside what the hardware says."""

_HEX = re.compile(r"([0-9a-f]{2})+")


class MaaVerifier:
    """Appraises MAA tokens; tier HARDWARE, on Microsoft's word for the hardware.

    Everything about the hardware is read in `x-ms-isolation-tee` and nowhere else. The binding is
    the nonce the guest gave with its request (`x-ms-runtime`, `client-payload`, `nonce`). A `jku`
    may stand in the header, as in real tokens; it must be the issuer's own and is never fetched.

    The launch measurement is that of Azure's firmware, which all its confidential VMs share. It
    says nothing of the operating system or the executor above, and the token carries no registers
    that would. So `runtime_digest` is None, and whoever needs to know the runtime must refuse:
    accepted means a confidential VM of Azure in good order, of unknown content. Evidence of the
    kind `azure-cvm`, with the VM's own quote, measures the guest.
    """

    kind = KIND
    media_type = MEDIA_TYPE

    def appraise(
        self,
        evidence: Evidence,
        *,
        at: datetime,
        expected_binding: ExpectedBinding,
        reference_values: ReferenceValues,
        endorsements: Endorsements,
        max_age_seconds: int | None,
    ) -> AttestationResult:
        """See `Verifier.appraise`."""
        token = read_token(
            unbase64(evidence.payload),
            algorithm=ALGORITHM,
            required=frozenset({"kid"}),
            optional=frozenset({"typ", "jku"}),
        )
        claims = token.claims
        times = read_times(claims)
        allowed = reference_values.maa or NOTHING_ALLOWED
        issuer = text_member(claims, "iss")
        key, no_key = first_refusal(lambda: _key(token, issuer, allowed, endorsements))
        signed = signature_holds(token, key, ALGORITHM)
        tcb = {
            name: value
            for name, claim in _SVNS.items()
            if isinstance(value := member(claims, _TEE, claim), int) and not isinstance(value, bool)
        }
        measurements = {
            name: value
            for name, claim in _MEASURED.items()
            if _HEX.fullmatch(value := text_member(claims, _TEE, claim))
        }
        debug = member(claims, _TEE, "x-ms-sevsnpvm-is-debuggable") is not False or any(
            claims.get(name) is not wanted for name, wanted in _NO_DEBUGGER.items()
        )
        migration = member(claims, _TEE, "x-ms-sevsnpvm-migration-allowed") is not False
        vmpl = member(claims, _TEE, "x-ms-sevsnpvm-vmpl")
        status = text_member(claims, _TEE, "x-ms-compliance-status")
        _, image = match_image(KIND, measurements, reference_values, required=("measurement",))
        floor = allowed.minimum_svn
        checks: tuple[Check, ...] = (
            check(
                "allowed-kind",
                "Azure Attestation is among what you accept",
                reference_values.maa is not None,
                good="the reference values have conditions for Azure Attestation",
                bad="the reference values name no conditions for Azure Attestation",
            ),
            check(
                "root",
                "Token's key is one its issuer published",
                key is not None,
                good=f"issuer {issuer}",
                bad=no_key,
            ),
            check(
                "signature",
                "Token is signed by that key",
                signed,
                good="the signature over the token holds",
                bad="the signature over the token does not hold",
            ),
            check(
                "freshness",
                "Token is in force and fresh",
                times_hold(times, at, max_age_seconds),
                good=f"issued {times.issued:%Y-%m-%dT%H:%M:%SZ}",
                bad=f"issued {times.issued:%Y-%m-%dT%H:%M:%SZ}: too old, over, or in the future",
            ),
            check(
                "type",
                "Token is of a confidential VM with SEV-SNP",
                claims.get("x-ms-attestation-type") == "azurevm"
                and member(claims, _TEE, "x-ms-attestation-type") == "sevsnpvm",
                good="azurevm, sevsnpvm",
                bad="another type of attestation",
            ),
            check(
                "compliance",
                "Azure found the machine compliant",
                bool(status) and status in allowed.compliance_statuses,
                good=status,
                bad="the compliance status is not one you accept",
            ),
            check(
                "tcb",
                "Firmware and microcode are recent enough",
                set(floor) == set(_SVNS) and all(tcb.get(k, -1) >= floor[k] for k in floor),
                good=", ".join(f"{name} {value}" for name, value in tcb.items()),
                bad="a component is below your floor, or your floor does not name all four",
            ),
            check(
                "debug",
                "Guest is not debuggable",
                not debug,
                good="debugging is off",
                bad="debugging is on, or the token does not say",
            ),
            check(
                "secure-boot",
                "Guest booted securely",
                claims.get("secureboot") is True
                and member(claims, _TEE, "x-ms-runtime", "vm-configuration", "secure-boot") is True,
                good="secure boot is on, by the log of the boot and by the VM's configuration",
                bad="secure boot is off, or the token does not say",
            ),
            check(
                "migration",
                "Guest cannot be migrated",
                not migration,
                good="migration is off",
                bad="migration is on, or the token does not say",
            ),
            check(
                "vmpl",
                "Privilege level of whoever asked",
                vmpl == 0 and not isinstance(vmpl, bool),
                good="VMPL 0",
                bad="the privilege level is not 0, or the token does not say",
            ),
            check(
                "binding",
                "Evidence is bound to this session",
                expected_binding.in_text(_nonce(claims)),
                good="the client's nonce is the hash of purpose, audience, nonce, job and key",
                bad="the client's nonce is not what this session expects",
            ),
            check(
                "firmware",
                "Azure's firmware is one you know",
                image.mark is Mark.PASSED,
                good="its measurement is among the reference values; the guest is not measured",
                bad="its measurement is not among the reference values",
            ),
        )
        found = Claims(
            runtime_digest=None,
            debug=debug,
            migration=migration,
            issued_at=times.issued,
            measurements=measurements,
            tcb=tcb,
            vmpl=vmpl if isinstance(vmpl, int) and not isinstance(vmpl, bool) else None,
            platform="Azure confidential VM",
            details=claims,
        )
        return AttestationResult(KIND, Tier.HARDWARE, found if signed else None, checks)


def _key(token: Token, issuer: str, allowed: MaaReference, endorsements: Endorsements) -> Any:
    need(bool(issuer) and issuer in allowed.issuers, "the token's issuer is not one you accept.")
    address = token.header.get("jku", f"{issuer}/certs")
    need(address == f"{issuer}/certs", "the token names keys of somebody else.")
    return find_key(endorsements, issuer, text_member(token.header, "kid"))


def _nonce(claims: dict[str, Any]) -> str:
    """Return the nonce the client gave, which Azure hands back in base64."""
    encoded = text_member(claims, "x-ms-runtime", "client-payload", "nonce")
    try:
        return base64.b64decode(encoded, validate=True).decode("ascii")
    except ValueError:
        return ""
