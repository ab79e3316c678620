"""The report that Azure's paravisor keeps in the virtual TPM (Microsoft: HCL attestation report).

Header, the hardware's report, request data, runtime data; zero bytes may follow. The runtime data
names the TPM's keys, and their hash is in the hardware's report.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from manatee.attestation._cursor import Cursor
from manatee.attestation._snp.report import REPORT_BYTES
from manatee.errors import MalformedError

MAX_HCL_BYTES = 16 << 10
MAX_RUNTIME_DATA_BYTES = 8 << 10

_SIGNATURE = b"HCLA"
_VERSIONS = (1, 2)
_REQUEST_REPORT = 2
_HEADER_BYTES = 32
_REQUEST_DATA_BYTES = 20
_REQUEST_DATA_VERSION = 1
_HARDWARE = {2: "amd-sev-snp", 4: "intel-tdx"}
_SHA256 = 1

_TD_REPORT_BYTES = 1024
_TD_REPORT_TYPE = b"\x81"
_TD_REPORT_DATA = slice(128, 192)
_TD_ATTRIBUTES = slice(512, 520)
_TD_MRTD = slice(528, 576)


@dataclass(frozen=True)
class HclReport:
    """A paravisor's report, read but not believed.

    Attributes:
        hardware: Evidence kind of the hardware's report: `amd-sev-snp` or `intel-tdx`.
        report: SNP: the attestation report. TDX: the TD report, which only its own machine can
            verify; a quote of the same TD stands beside it.
        runtime_data: Exact bytes that were hashed.
    """

    hardware: str
    report: bytes
    runtime_data: bytes

    def bound_in(self, report_data: bytes) -> bool:
        """Whether report data is SHA-256 of the runtime data, and zero after it."""
        expected = hashlib.sha256(self.runtime_data).digest() + bytes(32)
        return hmac.compare_digest(expected, report_data)


def parse_hcl_report(data: bytes) -> HclReport:
    """Read a paravisor's report strictly, verifying nothing.

    Raises:
        MalformedError: It is not one, its sizes disagree, or other than zero bytes follow it.
    """
    if len(data) > MAX_HCL_BYTES:
        raise MalformedError(f"an HCL report has at most {MAX_HCL_BYTES} bytes.")
    cursor = Cursor(data, "HCL report")
    if cursor.take(4) != _SIGNATURE or cursor.number(4) not in _VERSIONS:
        raise MalformedError("the HCL report is not one, or of an unknown version.")
    size = cursor.number(4)
    if cursor.number(4) != _REQUEST_REPORT or any(cursor.take(16)):  # status and reserved bytes
        raise MalformedError("the HCL report answers another request, or an error.")
    report = cursor.take(REPORT_BYTES)
    data_size, version, kind, algorithm = (cursor.number(4) for _ in range(4))
    if version != _REQUEST_DATA_VERSION or kind not in _HARDWARE or algorithm != _SHA256:
        raise MalformedError("the HCL report's request data is not for SNP or TDX with SHA-256.")
    runtime_data = cursor.sized(4, big=False, at_most=MAX_RUNTIME_DATA_BYTES)
    if data_size != _REQUEST_DATA_BYTES + len(runtime_data) or size != (
        _HEADER_BYTES + REPORT_BYTES + data_size
    ):
        raise MalformedError("the sizes in the HCL report disagree.")
    if any(cursor.rest()):
        raise MalformedError("bytes other than zero padding follow the HCL report.")
    hardware = _HARDWARE[kind]
    if hardware == "intel-tdx":
        if report[:1] != _TD_REPORT_TYPE or any(report[_TD_REPORT_BYTES:]):
            raise MalformedError("the HCL report holds no TD report.")
        report = report[:_TD_REPORT_BYTES]
    return HclReport(hardware, report, runtime_data)


def is_of_td(report: bytes, *, report_data: bytes, attributes: int, mr_td: bytes) -> bool:
    """Whether a TD report says what a quote says.

    The TD report carries a code that only its own machine can check, so this convicts mixtures
    made by mistake; what counts is the quote.
    """
    return (
        report[_TD_REPORT_DATA] == report_data
        and int.from_bytes(report[_TD_ATTRIBUTES], "little") == attributes
        and report[_TD_MRTD] == mr_td
    )
