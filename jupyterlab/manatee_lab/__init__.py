"""JupyterLab's server side of the researcher's desk: it passes requests on, and decides nothing.

Tokens and the age identity stay in this process; the browser gets answers alone.
"""

from __future__ import annotations

from typing import Any

from manatee_lab._app import ManateeLab

__all__ = ["ManateeLab"]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "manatee-lab"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "manatee_lab", "app": ManateeLab}]
