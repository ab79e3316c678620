"""Public fakes for tests of code that builds on ManaTEE."""

from manatee.testing._memory_backend import GuestScript, MemoryBackend, MemoryGuest, MemoryPlace

__all__ = ["GuestScript", "MemoryBackend", "MemoryGuest", "MemoryPlace"]
