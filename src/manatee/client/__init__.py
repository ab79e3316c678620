"""The typed HTTP client used by the command line and JupyterLab."""

from manatee.client._client import ManateeClient

__all__ = ["ManateeClient"]
