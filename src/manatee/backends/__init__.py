"""Where guests run: one interface, one private module per kind."""

from manatee.backends._interface import (
    Assurance,
    Backend,
    Capabilities,
    Collected,
    GuestInputs,
    GuestState,
    GuestStatus,
    Handle,
    Plan,
)
from manatee.backends._naming import check_inputs, guest_name
from manatee.backends._sandbox import SANDBOX_KINDS, SandboxBackend

__all__ = [
    "SANDBOX_KINDS",
    "Assurance",
    "Backend",
    "Capabilities",
    "Collected",
    "GuestInputs",
    "GuestState",
    "GuestStatus",
    "Handle",
    "Plan",
    "SandboxBackend",
    "check_inputs",
    "guest_name",
]
