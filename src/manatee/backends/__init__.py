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

__all__ = [
    "Assurance",
    "Backend",
    "Capabilities",
    "Collected",
    "GuestInputs",
    "GuestState",
    "GuestStatus",
    "Handle",
    "Plan",
    "check_inputs",
    "guest_name",
]
