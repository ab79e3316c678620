"""The web console: data sets, approvals, output review, jobs, proofs, projects, audit.

It talks to the service through `manatee.client` alone and decides nothing. Started by a person on
her own machine (`manatee console`) it may use her approver key and identity; they never leave it.
"""

from manatee.console._app import close_console, create_console
from manatee.console._keys import OwnKeys

__all__ = ["OwnKeys", "close_console", "create_console"]
