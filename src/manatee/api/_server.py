"""Serving an app with uvicorn: in the foreground until a signal, or in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from manatee.api._context import Context
from manatee.api._patience import STALL_SECONDS, patient
from manatee.errors import SettingsError

GRACE_SECONDS = 5
"""How long requests in hand may take after the server was told to end."""


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # with the protocol named, asyncio sets TCP_NODELAY: else each answer may wait 40 ms for an ACK
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"cannot listen on {host} port {port} ({error.strerror}).",
            hint="Set MANATEE_PORT to a free port, or 0 for any.",
        ) from error
    return listener


class _Server(uvicorn.Server):
    """A server that tells when it listens, and ends event streams when it is told to end."""

    def __init__(
        self,
        app: ASGIApp,
        on_started: Callable[[], None],
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                http=patient(stall_seconds),
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        state = getattr(app, "state", None)
        self._context: Context | None = getattr(state, "context", None)
        self._on_started = on_started

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as the wish to end; uvicorn's own would raise them again.

        So `serve` returns, and what runs beside the server can be stopped in order.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        ends = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in ends}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._context is not None:
            self._context.stopping.set()
        await super().shutdown(sockets)


def serve(
    app: ASGIApp, *, host: str, port: int, on_started: Callable[[str], None] | None = None
) -> None:
    """Serve in the foreground until SIGINT or SIGTERM; requests in hand are finished.

    Args:
        app: What `create_app` returned, or any ASGI app.
        host: Address.
        port: TCP port; 0 picks a free one.
        on_started: Called once with the base URL when connections are accepted.

    Raises:
        SettingsError: The address cannot be listened on.
    """
    listener = _listen(host, port)
    url = _url(host, listener)
    server = _Server(app, lambda: on_started(url) if on_started else None)
    with listener:
        asyncio.run(server.serve(sockets=[listener]))


def _url(host: str, listener: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"


@contextlib.contextmanager
def serve_in_thread(
    app: ASGIApp,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    stall_seconds: float = STALL_SECONDS,
) -> Iterator[str]:
    """Serve in a thread for the length of the block; gives the base URL.

    A client that makes no progress for `stall_seconds` is cut off.

    Raises:
        SettingsError: The address cannot be listened on.
    """
    listener = _listen(host, port)
    started = threading.Event()
    server = _Server(app, started.set, stall_seconds)
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listener])), name="api", daemon=True
    )
    with listener:
        thread.start()
        started.wait()
        try:
            yield _url(host, listener)
        finally:
            server.should_exit = True
            thread.join()
