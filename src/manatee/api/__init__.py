"""The HTTP service: takes in jobs, data sets and decisions, and shows where things stand."""

from manatee.api._app import MAX_DATA_BYTES, MAX_WORKSPACE_BYTES, create_app
from manatee.api._bodies import MAX_BODY_BYTES
from manatee.api._server import serve, serve_in_thread

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_DATA_BYTES",
    "MAX_WORKSPACE_BYTES",
    "create_app",
    "serve",
    "serve_in_thread",
]
