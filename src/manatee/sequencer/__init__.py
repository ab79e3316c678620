"""Puts the audit trail into a transparency log, and compares the database with it.

One process at a time does so, under a lease; event number n is entry n - 1 of the log. So nothing
need be noted in the database, and whoever takes over begins where the log ends.
"""

from manatee.sequencer._audit_log import AuditLog, open_audit_log
from manatee.sequencer._check import Finding, check_installation
from manatee.sequencer._sequencer import Sequencer

__all__ = ["AuditLog", "Finding", "Sequencer", "check_installation", "open_audit_log"]
