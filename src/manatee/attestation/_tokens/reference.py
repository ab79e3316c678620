"""What a relying party demands of attestation tokens."""

from manatee.records import Record


class ConfidentialSpaceReference(Record, frozen=True, kw_only=True):
    """Conditions for Google Confidential Space tokens (PKI or OIDC).

    Attributes:
        audience: The one audience accepted.
        issuer: The one issuer accepted.
        support_attributes: All of these must be claimed; a debug image has none.
        hardware_models: `hwmodel` values accepted.
        service_accounts: One of these must be claimed; None: not looked at.
        project_ids: Projects the machine may run in; None: not looked at.
        environment_overrides: Names of environment variables that whoever started the machine may
            have set; the image's own command can never be overridden.
    """

    audience: str
    issuer: str = "https://confidentialcomputing.googleapis.com"
    support_attributes: tuple[str, ...] = ("STABLE",)
    hardware_models: tuple[str, ...] = ("GCP_INTEL_TDX", "GCP_AMD_SEV_SNP")
    service_accounts: tuple[str, ...] | None = None
    project_ids: tuple[str, ...] | None = None
    environment_overrides: tuple[str, ...] = ()


class MaaReference(Record, frozen=True, kw_only=True):
    """Conditions for Microsoft Azure Attestation tokens.

    These tokens measure Azure's firmware, which all its confidential VMs share, and not the
    guest: no image can give them a runtime, and no key is released on them alone.

    Attributes:
        issuers: Exact issuer addresses accepted, each with its keys as `jwks/<issuer>`.
        compliance_statuses: `x-ms-compliance-status` values accepted.
        minimum_svn: Component (`bootloader`, `tee`, `snp`, `microcode`) to the lowest accepted.
    """

    issuers: tuple[str, ...]
    compliance_statuses: tuple[str, ...] = ("azure-compliant-cvm",)
    minimum_svn: dict[str, int]


class NrasReference(Record, frozen=True, kw_only=True):
    """Conditions for tokens of NVIDIA's remote attestation service.

    Attributes:
        issuers: Exact issuer addresses accepted, each with its keys as `jwks/<issuer>`.
        hardware_models: `hwmodel` values accepted.
    """

    issuers: tuple[str, ...] = ("https://nras.attestation.nvidia.com",)
    hardware_models: tuple[str, ...] = ("GH100",)
