"""Where a log's static files are read from: a folder, or any web server that serves one."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from manatee.errors import NotFoundError, ServiceUnreachableError, SettingsError
from manatee.ledger._storage import MAX_FILE_BYTES, LogFolder

TIMEOUT_SECONDS = 20.0
FILE_SECONDS = 120.0
"""How long one file of a log may take as a whole; its server must not pause over
`TIMEOUT_SECONDS`."""


def read_folder(folder: Path) -> Callable[[str], bytes]:
    """Return a reader of a log's folder."""
    return LogFolder(folder).read


def read_source(source: str) -> Callable[[str], bytes]:
    """Return a reader of a log by its folder or its http address."""
    if source.startswith(("http://", "https://")):
        return read_url(source)
    return read_folder(Path(source))


def request(
    url: str, path: str, *, body: bytes | None = None, at_most: int, timeout: float
) -> tuple[int, str, bytes]:
    """Ask a web server once; redirects are not followed.

    Args:
        url: Of the server, with the prefix if there is one.
        path: Below it.
        body: What is posted; None gets.
        at_most: Cap of the answer's body, in bytes.
        timeout: Seconds for the whole exchange: a server that trickles gains no time by it.

    Returns:
        Status, content type and body.

    Raises:
        SettingsError: The address is not http or https.
        ServiceUnreachableError: No answer in time, or one over `at_most` bytes.
    """
    parts, host, port = check_address(url)
    late = threading.Event()
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(host, port, timeout=min(timeout, TIMEOUT_SECONDS))
        try:
            connection.connect()
            with _ended_after(timeout, connection.sock, late):
                method = "GET" if body is None else "POST"
                connection.request(method, f"{parts.path.rstrip('/')}/{path}", body)
                answer = connection.getresponse()
                data = answer.read(at_most + 1)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        if late.is_set():
            raise _too_late(url, timeout) from error
        raise ServiceUnreachableError(f"{url} did not answer.", hint="Is it running?") from error
    if late.is_set():
        raise _too_late(url, timeout)
    if len(data) > at_most:
        raise ServiceUnreachableError(f"{url} answered with over {at_most} bytes.")
    return answer.status, answer.getheader("Content-Type", ""), data


def check_address(url: str) -> tuple[SplitResult, str, int | None]:
    """Return an http address, its host and its port. Raises SettingsError: it is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError(f"{url} is not an http or https address.") from error
    if parts.scheme not in ("http", "https") or not host:
        raise SettingsError(f"{url} is not an http or https address.")
    return parts, host, port


def _too_late(url: str, seconds: float) -> ServiceUnreachableError:
    return ServiceUnreachableError(f"{url} did not answer within {seconds:.2g} seconds.")


@contextmanager
def _ended_after(seconds: float, connected: socket.socket, late: threading.Event) -> Iterator[None]:
    """End a connection when its time is up; `late` then says so."""

    def end() -> None:
        late.set()
        try:
            connected.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it ended by itself

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def read_url(url: str, *, timeout: float = FILE_SECONDS) -> Callable[[str], bytes]:
    """Return a reader of a log that a web server serves as static files."""

    def read(name: str) -> bytes:
        status, _, data = request(url, name, at_most=MAX_FILE_BYTES, timeout=timeout)
        if status == http.client.NOT_FOUND:
            raise NotFoundError(f"{url} has no file {name}.")
        if status != http.client.OK:
            raise ServiceUnreachableError(f"{url} answered {status} for {name}.")
        return data

    return read
