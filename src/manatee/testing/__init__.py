"""Public fakes and forges for tests of code that builds on ManaTEE."""

from manatee.testing._control_plane import ControlPlane, SettableClock, guest_result
from manatee.testing._forge import (
    Asked,
    EvidenceForge,
    ForgedIdentity,
    Installation,
    SetClock,
    as_evidence,
    forge_identity,
)
from manatee.testing._memory_backend import (
    MEMORY_BROKER,
    GuestScript,
    MemoryBackend,
    MemoryGuest,
    MemoryPlace,
)
from manatee.testing._notebooks import notebook_of
from manatee.testing._providers import Providers
from manatee.testing._visits import VISITS_ORDER, VISITS_PER_PERSON, visits

__all__ = [
    "MEMORY_BROKER",
    "VISITS_ORDER",
    "VISITS_PER_PERSON",
    "Asked",
    "ControlPlane",
    "EvidenceForge",
    "ForgedIdentity",
    "GuestScript",
    "Installation",
    "MemoryBackend",
    "MemoryGuest",
    "MemoryPlace",
    "Providers",
    "SetClock",
    "SettableClock",
    "as_evidence",
    "forge_identity",
    "guest_result",
    "notebook_of",
    "visits",
]
