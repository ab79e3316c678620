"""AMD SEV-SNP reports, and what a VCEK or VLEK certificate says."""

from collections.abc import Iterator

from appraising import look

from manatee.attestation import Endorsements
from manatee.attestation._certificates import read_certificate
from manatee.attestation._snp.endorsement import read_endorsed
from manatee.attestation._snp.report import parse_report
from manatee.attestation._snp.verifier import MEDIA_TYPE
from vectors import vector, vectors

VCEK = vector("snp/genoa-v5-vcek.der")


def seeds() -> Iterator[bytes]:
    for report in vectors("snp/*-report.bin"):
        yield b"\x00" + report
    for der in vectors("snp/*.der"):
        yield b"\x01" + der


def one(data: bytes) -> None:
    if data[:1] == b"\x01":
        read_endorsed(read_certificate(data[1:]))
        return
    parse_report(data[1:])
    look(MEDIA_TYPE, data[1:], endorsements=Endorsements(certificates=(VCEK,)))
