"""Intel's collateral for one platform: TCB info, QE identity and revocation lists.

The signatures cover the exact bytes of the inner JSON objects, so nothing is serialised anew.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import msgspec
from cryptography import x509

from manatee._clock import parse_timestamp
from manatee.attestation._endorsements import Endorsements
from manatee.errors import AppraisalUnavailableError, MalformedError
from manatee.records import parse_json, read_record

MAX_COLLATERAL_BYTES = 1 << 20
_FMSPC = re.compile(r"[0-9a-f]{12}")
DOCUMENT = "intel-tdx/"
"""Prefix of the endorsement's name; the platform's FMSPC in lower-case hexadecimal follows."""


class QuoteCollateral(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Intel's `QuoteCollateralV3`, as JSON; lists and signatures in hexadecimal.

    `pck_certificate_chain`, which some tools add, is never used: the platform's certificates are
    those in the quote, or one platform could vouch for another.
    """

    pck_crl_issuer_chain: str
    root_ca_crl: str
    pck_crl: str
    tcb_info_issuer_chain: str
    tcb_info: str
    tcb_info_signature: str
    qe_identity_issuer_chain: str
    qe_identity: str
    qe_identity_signature: str
    pck_certificate_chain: str | None = None


@dataclass(frozen=True)
class TdxCollateral:
    """Collateral, read but not believed.

    Attributes:
        body: The parts, their inner JSON byte for byte.
        fmspc: Platform the TCB info is for, lower-case hexadecimal.
        issued: When the older of TCB info and QE identity was issued.
        expires: When the first of them, or of the revocation lists, is over.
        begins: When the last of them begins.
        evaluation_number: The lower `tcbEvaluationDataNumber`.
    """

    body: QuoteCollateral
    fmspc: str
    issued: datetime
    begins: datetime
    expires: datetime
    evaluation_number: int


def _moment(text: object) -> datetime:
    if not isinstance(text, str):
        raise MalformedError("Intel's collateral lacks a time.")
    try:
        return parse_timestamp(text)
    except ValueError as error:
        raise MalformedError("Intel's collateral carries an impossible time.") from error


def _dated(text: str, what: str) -> tuple[datetime, datetime, int]:
    value = parse_json(text.encode(), max_bytes=MAX_COLLATERAL_BYTES)
    if not isinstance(value, dict):
        raise MalformedError(f"Intel's {what} is not an object.")
    number = value.get("tcbEvaluationDataNumber")
    if not isinstance(number, int) or isinstance(number, bool):
        raise MalformedError(f"Intel's {what} lacks its evaluation number.")
    return _moment(value.get("issueDate")), _moment(value.get("nextUpdate")), number


def _platform(text: str) -> str:
    value = parse_json(text.encode(), max_bytes=MAX_COLLATERAL_BYTES)
    fmspc = value.get("fmspc") if isinstance(value, dict) else None
    if not isinstance(fmspc, str) or not _FMSPC.fullmatch(fmspc.lower()):
        raise MalformedError("Intel's TCB info names no platform (FMSPC).")
    return fmspc.lower()


def _revocation_times(text: str) -> tuple[datetime, datetime]:
    try:
        found = x509.load_der_x509_crl(bytes.fromhex(text))
        ends = found.next_update_utc
        begins = found.last_update_utc
    except (ValueError, TypeError) as error:
        raise MalformedError("a revocation list of Intel's cannot be read.") from error
    if ends is None:
        raise MalformedError("a revocation list of Intel's never ends.")
    return begins, ends


@lru_cache(maxsize=8)
def read_collateral(document: bytes) -> TdxCollateral:
    """Read collateral strictly, verifying no signature. The last few are remembered by content.

    Raises:
        MalformedError, TooLargeError: It is not one JSON object of this form.
    """
    collateral = read_record(
        document, QuoteCollateral, what="TDX collateral", max_bytes=MAX_COLLATERAL_BYTES
    )
    dated = [
        _dated(collateral.tcb_info, "TCB info"),
        _dated(collateral.qe_identity, "QE identity"),
    ]
    lists = [_revocation_times(text) for text in (collateral.root_ca_crl, collateral.pck_crl)]
    return TdxCollateral(
        body=collateral,
        fmspc=_platform(collateral.tcb_info),
        issued=min(item[0] for item in dated),
        begins=max([item[0] for item in dated] + [item[0] for item in lists]),
        expires=min([item[1] for item in dated] + [item[1] for item in lists]),
        evaluation_number=min(item[2] for item in dated),
    )


def find_collateral(endorsements: Endorsements, fmspc: str) -> TdxCollateral:
    """Return the collateral of a platform.

    Raises:
        AppraisalUnavailableError: There is none.
        MalformedError: It cannot be read.
    """
    document = endorsements.documents.get(DOCUMENT + fmspc)
    if document is None:
        raise AppraisalUnavailableError(
            f"Intel's collateral for platform {fmspc} is missing.",
            hint="Fetch it into the collateral cache: manatee attest collateral fetch.",
        )
    return read_collateral(document)
