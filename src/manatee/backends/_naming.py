"""What every backend asks of a launch before it starts anything. Pure."""

from manatee.backends._interface import GuestInputs
from manatee.errors import BackendError, ManateeError
from manatee.records import check_manifest, dataset_version, digest_record

_NAME_DIGITS = 32
"""Hexadecimal digits of the job digest in a guest's name: 128 bits."""


def guest_name(job_digest: str, attempt: int) -> str:
    """Return the one name of an attempt's guest, at most 44 characters of `a-z0-9-`."""
    return f"guest-{job_digest.removeprefix('sha256:')[:_NAME_DIGITS]}-{attempt}"


def check_inputs(inputs: GuestInputs, *, kind: str) -> None:
    """Check that the parts of a launch belong together.

    Args:
        inputs: The launch.
        kind: The backend that is to do it.

    Raises:
        BackendError: They do not: another backend, resource class, output policy or data set
            version than the manifest names, or a relay to brokers in a rehearsal.
    """
    plan = inputs.plan
    manifest = plan.manifest
    try:
        check_manifest(manifest)
    except ManateeError as error:
        raise BackendError(f"the plan's manifest is no good: {error}") from error
    if manifest.backend_kind != kind:
        raise BackendError(
            f"the manifest asks for backend {manifest.backend_kind!r}, not {kind!r}."
        )
    if manifest.resource_class != inputs.resources.name:
        raise BackendError(
            f"the manifest asks for class {manifest.resource_class!r}, "
            f"not {inputs.resources.name!r}."
        )
    if digest_record(plan.output_policy) != manifest.output_policy_digest:
        raise BackendError("the output policy is not the one the manifest names.")
    wanted = {use.name: use.version for use in manifest.datasets}
    offered = {item.name: dataset_version(item) for item in plan.datasets}
    if wanted != offered or len(plan.datasets) != len(wanted):
        raise BackendError("the plan's data sets are not the versions the manifest names.")
    if set(inputs.datasets) != set(wanted):
        raise BackendError("a data set of the manifest has no folder, or a folder no data set.")
    if manifest.stage == "rehearsal" and inputs.broker_urls:
        raise BackendError("a rehearsal runs on twins and is given no key broker.")
