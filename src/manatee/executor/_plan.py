"""Reading the plan: everything in it must be what the job manifest names by digest."""

import os
from dataclasses import dataclass
from pathlib import Path

from manatee.errors import ManifestError, TooLargeError
from manatee.records import (
    MAX_JSON_BYTES,
    Digest,
    GuestPlan,
    ResourceClass,
    canonical_json,
    check_manifest,
    check_output_policy,
    check_twin_report,
    dataset_version,
    digest_record,
    read_record,
    resource_class,
)

MAX_PLAN_BYTES = 4 * MAX_JSON_BYTES
"""Cap of plan.json, in bytes: data set manifests with many files are long."""


@dataclass(frozen=True)
class Job:
    """A plan that hangs together, with what follows from it."""

    plan: GuestPlan
    digest: Digest
    resources: ResourceClass

    @property
    def secure(self) -> bool:
        """Whether this is the one run on the sealed tables."""
        return self.plan.manifest.stage == "secure"


def read_plan(path: Path) -> Job:
    """Read and check the plan.

    Raises:
        MalformedError: It is not a plan.
        TooLargeError: It is over `MAX_PLAN_BYTES`.
        ManifestError: Its parts are not those the manifest names, or do not fit its stage.
        OSError: It cannot be read.
    """
    with path.open("rb") as stream:
        if os.fstat(stream.fileno()).st_size > MAX_PLAN_BYTES:
            raise TooLargeError(f"the plan is over {MAX_PLAN_BYTES} bytes.")
        data = stream.read(MAX_PLAN_BYTES + 1)
    plan = read_record(data, GuestPlan, what="guest plan", max_bytes=MAX_PLAN_BYTES)
    if canonical_json(plan) != data:
        # 1.0 and 1 have one canonical form, hence one digest: no other form is let in
        raise ManifestError("the plan is not in canonical JSON.")
    manifest = plan.manifest
    check_manifest(manifest)
    check_twin_report(manifest, plan.datasets)
    named = [(use.name, use.version) for use in manifest.datasets]
    given = [(dataset.name, dataset_version(dataset)) for dataset in plan.datasets]
    if sorted(named) != sorted(given):
        raise ManifestError("the plan's data sets are not the versions the manifest names.")
    if digest_record(plan.output_policy) != manifest.output_policy_digest:
        raise ManifestError("the plan's output policy is not the one the manifest names.")
    check_output_policy(plan.output_policy)
    sealed = {dataset.wrapped_key is not None for dataset in plan.datasets}
    if sealed != {manifest.stage == "secure"}:
        raise ManifestError(
            "a rehearsal runs on data sets that are not sealed, a secure run on sealed ones."
        )
    return Job(
        plan=plan, digest=digest_record(manifest), resources=resource_class(manifest.resource_class)
    )
