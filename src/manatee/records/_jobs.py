"""What a job is, by digest, and who agreed to it."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from manatee.errors import ManifestError
from manatee.records._base import Base64, Moment, Name, Record, RelativePath, Scalar, Text
from manatee.records._datasets import DatasetManifest
from manatee.records._digests import DigestText

Stage = Literal["rehearsal", "secure"]
"""`rehearsal`: on twins, in the same sandbox and runtime. `secure`: on the sealed tables."""


class DatasetUse(Record, frozen=True, kw_only=True):
    """One data set as a notebook sees it: `manatee.dataset(name)` is this version."""

    name: Name
    version: DigestText


class JobManifest(Record, frozen=True, kw_only=True):
    """Everything that decides what a run does. `job_digest` is the digest of its canonical JSON.

    Approvals, evidence bindings, key grants and the run bundle all name that digest.
    """

    format_version: Literal[1] = 1
    stage: Stage
    project: Name
    researcher: Name
    purpose: Text
    submission: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    """Raised by one to ask for another run of otherwise the same job."""
    runtime_digest: DigestText
    workspace_digest: DigestText
    entry_notebook: RelativePath
    parameters: Annotated[dict[str, Scalar], msgspec.Meta(max_length=100)] = msgspec.field(
        default_factory=dict
    )
    datasets: Annotated[tuple[DatasetUse, ...], msgspec.Meta(min_length=1, max_length=32)]
    declared_outputs: Annotated[tuple[RelativePath, ...], msgspec.Meta(max_length=64)] = ()
    output_policy_digest: DigestText
    output_recipients: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=8)]
    """age recipients (`age1…`) to whom the checked outputs are sealed inside the guest."""
    resource_class: Name
    backend_kind: Name
    twin_report: bool = False
    """Asks for a report of where the twins misled, which costs privacy budget."""


def check_manifest(manifest: JobManifest) -> None:
    """Check what types cannot say.

    Raises:
        ManifestError: A data set, output or recipient stands twice, the notebook is not one, a
            recipient is not an age recipient, or a rehearsal asks for a twin report.
    """
    names = [use.name for use in manifest.datasets]
    for what, values in (
        ("data set", names),
        ("declared output", list(manifest.declared_outputs)),
        ("output recipient", list(manifest.output_recipients)),
    ):
        if len(set(values)) != len(values):
            raise ManifestError(f"manifest names the same {what} twice.")
    if not manifest.entry_notebook.endswith(".ipynb"):
        raise ManifestError("entry_notebook must end in .ipynb.")
    if manifest.twin_report and manifest.stage != "secure":
        raise ManifestError("only a secure run reports where a twin misled.")
    for recipient in manifest.output_recipients:
        if not recipient.startswith("age1"):
            raise ManifestError("output_recipients must be age recipients (age1…).")


def check_twin_report(manifest: JobManifest, datasets: Sequence[DatasetManifest]) -> None:
    """Check that somebody allows the report a job asks for.

    Raises:
        ManifestError: It asks for one, and no provider allows it.
    """
    if manifest.twin_report and all(dataset.comparison is None for dataset in datasets):
        raise ManifestError(
            "no provider of these data sets allows a report of where the twin misled.",
            hint="Submit without it.",
        )


class ApprovalStatement(Record, frozen=True, kw_only=True):
    """A provider's yes to one job digest, and to nothing else."""

    format_version: Literal[1] = 1
    provider: Name
    approver: Name
    job_digest: DigestText
    approved_at: Moment
    expires_at: Moment


class SignedApproval(Record, frozen=True, kw_only=True):
    """An approval with the approver's Ed25519 signature; the operator cannot make one."""

    statement: ApprovalStatement
    public_key: Base64
    signature: Base64
