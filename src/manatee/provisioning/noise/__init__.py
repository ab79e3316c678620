"""Privacy noise, all of it: OpenDP's samplers under a zCDP budget."""

from __future__ import annotations

from manatee.provisioning.noise._budget import (
    Budget,
    Charge,
    check_budget,
    epsilon_of,
    rho_for,
)

__all__ = ["Budget", "Charge", "check_budget", "epsilon_of", "rho_for"]
