"""The attestation report (AMD, SEV Secure Nested Paging Firmware ABI, "Attestation report").

Versions 2, 3 and 5; 1184 bytes. Fields the specification reserves must be zero.
"""

from __future__ import annotations

from dataclasses import dataclass

from manatee.attestation._cursor import Cursor
from manatee.errors import MalformedError

REPORT_BYTES = 1184
SIGNED_BYTES = 0x2A0
VERSIONS = (2, 3, 5)
ECDSA_P384_SHA384 = 1

POLICY_SMT = 1 << 16
_POLICY_RESERVED_ONE = 1 << 17
POLICY_MIGRATE_MA = 1 << 18
POLICY_DEBUG = 1 << 19
POLICY_SINGLE_SOCKET = 1 << 20
_POLICY_KNOWN_BITS = 26

PLATFORM_ALIAS_CHECK_COMPLETE = 1 << 5

_FLAG_MASK_CHIP_KEY = 1 << 1
"""The firmware then signs with a VLEK only."""

SIGNING_KEYS = {0: "vcek", 1: "vlek"}

P384_ORDER = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffff"
    "c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    16,
)
"""Order of NIST P-384 (FIPS 186-5, appendix G)."""


@dataclass(frozen=True)
class SnpReport:
    """The report's fields; TCB versions are the eight raw bytes, whose layout is the product's."""

    version: int
    guest_svn: int
    policy: int
    family_id: bytes
    image_id: bytes
    vmpl: int
    current_tcb: bytes
    platform_info: int
    signing_key: str
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    report_id_ma: bytes
    reported_tcb: bytes
    cpuid: tuple[int, int, int] | None
    chip_id: bytes
    committed_tcb: bytes
    launch_tcb: bytes
    signed: bytes
    signature_r: int
    signature_s: int

    @property
    def debug(self) -> bool:
        """Whether the host may decrypt the guest's memory."""
        return bool(self.policy & POLICY_DEBUG)

    @property
    def migration(self) -> bool:
        """Whether a migration agent may be associated with the guest."""
        return bool(self.policy & POLICY_MIGRATE_MA) or self.report_id_ma != b"\xff" * 32


def parse_report(data: bytes) -> SnpReport:
    """Read a report strictly, verifying nothing.

    Raises:
        MalformedError: It is not a report of a known version.
    """
    if len(data) != REPORT_BYTES:
        raise MalformedError(f"an SNP report has {REPORT_BYTES} bytes, not {len(data)}.")
    cursor = Cursor(data, "SNP report")
    version = cursor.number(4)
    if version not in VERSIONS:
        raise MalformedError("the SNP report's version must be 2, 3 or 5.")
    guest_svn = cursor.number(4)
    policy = cursor.number(8)
    if not policy & _POLICY_RESERVED_ONE or policy >> _POLICY_KNOWN_BITS:
        raise MalformedError("the SNP guest policy has reserved bits in an unknown state.")
    family_id, image_id = cursor.take(16), cursor.take(16)
    vmpl = cursor.number(4)
    if cursor.number(4) != ECDSA_P384_SHA384:
        raise MalformedError("the SNP report's signature algorithm must be ECDSA P-384.")
    current_tcb = cursor.take(8)
    platform_info = cursor.number(8)
    flags = cursor.number(4)
    signing_key = SIGNING_KEYS.get(flags >> 2 & 0b111)
    if signing_key is None or flags >> 5:
        raise MalformedError("the SNP report is signed by no known key, or has unknown flags.")
    if signing_key == "vcek" and flags & _FLAG_MASK_CHIP_KEY:
        raise MalformedError("the SNP report's chip key is masked: nothing can have signed it.")
    _zero(cursor, 4)
    report_data, measurement, host_data = cursor.take(64), cursor.take(48), cursor.take(32)
    id_key_digest, author_key_digest = cursor.take(48), cursor.take(48)
    report_id, report_id_ma = cursor.take(32), cursor.take(32)
    reported_tcb = cursor.take(8)
    cpuid = None
    if version >= 3:
        cpuid = (cursor.number(1), cursor.number(1), cursor.number(1))
        _zero(cursor, 21)
    else:
        _zero(cursor, 24)
    chip_id, committed_tcb = cursor.take(64), cursor.take(8)
    for _ in ("current", "committed"):
        cursor.take(3)  # build, minor, major
        _zero(cursor, 1)
    launch_tcb = cursor.take(8)
    if version >= 5:
        cursor.take(16)  # launch and current mitigation vectors
        _zero(cursor, 152)
    else:
        _zero(cursor, 168)
    signature_r = int.from_bytes(cursor.take(72), "little")
    signature_s = int.from_bytes(cursor.take(72), "little")
    _zero(cursor, 368)
    cursor.end()
    if not (0 < signature_r < P384_ORDER and 0 < signature_s < P384_ORDER):
        raise MalformedError("the SNP report's signature is out of range.")
    return SnpReport(
        version=version,
        guest_svn=guest_svn,
        policy=policy,
        family_id=family_id,
        image_id=image_id,
        vmpl=vmpl,
        current_tcb=current_tcb,
        platform_info=platform_info,
        signing_key=signing_key,
        report_data=report_data,
        measurement=measurement,
        host_data=host_data,
        id_key_digest=id_key_digest,
        author_key_digest=author_key_digest,
        report_id=report_id,
        report_id_ma=report_id_ma,
        reported_tcb=reported_tcb,
        cpuid=cpuid,
        chip_id=chip_id,
        committed_tcb=committed_tcb,
        launch_tcb=launch_tcb,
        signed=data[:SIGNED_BYTES],
        signature_r=signature_r,
        signature_s=signature_s,
    )


def _zero(cursor: Cursor, count: int) -> None:
    if any(cursor.take(count)):
        raise MalformedError("the SNP report has bytes where the specification reserves them.")
