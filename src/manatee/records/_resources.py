"""Resource classes: what a guest may use. A job names one; the guest and its host enforce it."""

from manatee.errors import ManifestError
from manatee.records._base import Count, Name, Record

MIB = 1 << 20
GIB = 1 << 30


class ResourceClass(Record, frozen=True, kw_only=True):
    """Limits of one guest. Sizes in bytes, times in seconds."""

    name: Name
    kernel_memory_bytes: Count
    """The researcher's kernel with all its children, its scratch included."""
    agent_memory_bytes: Count
    """On top: executor, notebook driver and the decrypted tables."""
    kernel_pids: Count
    cpus: Count
    kernel_cpu_seconds: Count
    wall_seconds: Count
    cell_seconds: Count
    scratch_bytes: Count
    output_bytes: Count


RESOURCE_CLASSES: dict[str, ResourceClass] = {
    klass.name: klass
    for klass in (
        ResourceClass(
            name="tiny",
            kernel_memory_bytes=512 * MIB,
            agent_memory_bytes=512 * MIB,
            kernel_pids=64,
            cpus=1,
            kernel_cpu_seconds=60,
            wall_seconds=120,
            cell_seconds=60,
            scratch_bytes=64 * MIB,
            output_bytes=8 * MIB,
        ),
        ResourceClass(
            name="small",
            kernel_memory_bytes=2 * GIB,
            agent_memory_bytes=2 * GIB,
            kernel_pids=256,
            cpus=2,
            kernel_cpu_seconds=1800,
            wall_seconds=1800,
            cell_seconds=900,
            scratch_bytes=512 * MIB,
            output_bytes=64 * MIB,
        ),
        ResourceClass(
            name="large",
            kernel_memory_bytes=12 * GIB,
            agent_memory_bytes=8 * GIB,
            kernel_pids=1024,
            cpus=8,
            kernel_cpu_seconds=8 * 3600,
            wall_seconds=4 * 3600,
            cell_seconds=4 * 3600,
            scratch_bytes=4 * GIB,
            output_bytes=256 * MIB,
        ),
    )
}


def resource_class(name: str) -> ResourceClass:
    """Look a class up.

    Raises:
        ManifestError: No such class.
    """
    try:
        return RESOURCE_CLASSES[name]
    except KeyError:
        known = ", ".join(RESOURCE_CLASSES)
        raise ManifestError(f"resource class {name!r} is not one of: {known}.") from None
