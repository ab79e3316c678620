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
]
