"""The typed HTTP client used by the command line and JupyterLab."""

from manatee.client._client import ManateeClient
from manatee.client._handover import AskedBrowser, Program
from manatee.client._sign_in import SignInClient

__all__ = ["AskedBrowser", "ManateeClient", "Program", "SignInClient"]
