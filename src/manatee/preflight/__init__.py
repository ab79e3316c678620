"""What would stop a notebook in the guest, found before anybody is asked to approve it.

Static and pure: nothing is run, imported or opened. It is help for the researcher, never a
permission: the service and the guest check whatever they must rely on themselves.
"""

from manatee.preflight._check import Preflight, preflight
from manatee.preflight._findings import Finding, Severity
from manatee.preflight._modules import importable_modules, own_modules

__all__ = ["Finding", "Preflight", "Severity", "importable_modules", "own_modules", "preflight"]
