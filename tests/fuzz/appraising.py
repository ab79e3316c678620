"""Appraises bytes as evidence, with every kind allowed and a binding that nothing carries."""

from datetime import UTC, datetime
from typing import Any

from manatee.attestation import ExpectedBinding, ReferenceValues, appraise
from manatee.attestation._azure.reference import AzureCvmReference
from manatee.attestation._cca.reference import CcaReference
from manatee.attestation._nitro.reference import NitroReference
from manatee.attestation._snp.reference import SnpReference
from manatee.attestation._tdx.reference import TdxReference
from manatee.attestation._tokens.reference import (
    ConfidentialSpaceReference,
    MaaReference,
    NrasReference,
)
from manatee.attestation._tpm.reference import TpmReference
from manatee.records import Evidence, to_base64

AT = datetime(2026, 6, 1, tzinfo=UTC)
NO_TCB = {"bootloader": 0, "tee": 0, "snp": 0, "microcode": 0}
VALUES = ReferenceValues(
    runtime_digests=(),
    roots={},
    snp=SnpReference(
        minimum_tcb={"Milan": NO_TCB, "Genoa": NO_TCB, "Turin": {**NO_TCB, "fmc": 0}},
        signing_keys=("vcek", "vlek"),
        maximum_vmpl=3,
    ),
    tdx=TdxReference(),
    nitro=NitroReference(),
    confidential_space=ConfidentialSpaceReference(audience="a"),
    maa=MaaReference(issuers=("https://a",), minimum_svn={}),
    azure_cvm=AzureCvmReference(),
    tpm=TpmReference(),
    nras=NrasReference(),
    cca=CcaReference(platform_keys=(), implementation_ids=()),
)


def look(media_type: str, data: bytes, **members: Any) -> None:
    """Appraise; whatever the bytes are, nothing may be accepted."""
    result = appraise(
        Evidence(media_type=media_type, payload=to_base64(data)),
        at=AT,
        expected_binding=ExpectedBinding.of(b"a binding that is nobody's"),
        reference_values=VALUES,
        max_age_seconds=None,
        **members,
    )
    assert result.checks
    assert not result.accepted
