"""Products and the layout of their TCB versions (AMD, SNP Firmware ABI, "TCB_VERSION")."""

from __future__ import annotations

from manatee.errors import AppraisalRefusedError, MalformedError

_LAYOUTS: dict[str, tuple[str, ...]] = {
    "Milan": ("bootloader", "tee", "", "", "", "", "snp", "microcode"),
    "Genoa": ("bootloader", "tee", "", "", "", "", "snp", "microcode"),
    "Turin": ("fmc", "bootloader", "tee", "snp", "", "", "", "microcode"),
}
"""Product to the component of each of the eight bytes; reserved ones must be zero."""

_CPUS: tuple[tuple[int, range, str], ...] = (
    (0x19, range(0x10), "Milan"),
    (0x19, range(0x10, 0x20), "Genoa"),
    (0x19, range(0xA0, 0xB0), "Genoa"),  # Bergamo and Siena, which share its keys
    (0x1A, range(0x20), "Turin"),
)


def product_of_cpu(family: int, model: int) -> str:
    """Return the product of a CPUID family and model.

    Raises:
        AppraisalRefusedError: No product here; its TCB layout and roots are unknown.
    """
    for known, models, product in _CPUS:
        if family == known and model in models:
            return product
    raise AppraisalRefusedError("the processor is none of Milan, Genoa and Turin.")


def components(product: str) -> tuple[str, ...]:
    """Return the names of a product's TCB components. Raises AppraisalRefusedError."""
    if product not in _LAYOUTS:
        raise AppraisalRefusedError("the processor is none of Milan, Genoa and Turin.")
    return tuple(name for name in _LAYOUTS[product] if name)


def read_tcb(raw: bytes, product: str) -> dict[str, int]:
    """Return component to security version number.

    Raises:
        AppraisalRefusedError: The product is unknown.
        MalformedError: A reserved byte is not zero, as when the layout is another product's.
    """
    components(product)
    found = {}
    for name, value in zip(_LAYOUTS[product], raw, strict=True):
        if name:
            found[name] = value
        elif value:
            raise MalformedError("the TCB version has bytes that this product reserves.")
    return found


def at_least(found: dict[str, int], floor: dict[str, int]) -> bool:
    """Whether every component reaches the floor, which must name exactly these components."""
    return bool(floor) and set(found) == set(floor) and all(found[k] >= floor[k] for k in floor)
