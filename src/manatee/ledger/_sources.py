"""Where a log's static files are read from: a folder, or any web server that serves one."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from manatee.errors import NotFoundError, ServiceUnreachableError, SettingsError
from manatee.ledger._storage import MAX_FILE_BYTES, LogFolder

TIMEOUT_SECONDS = 20.0


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

    Returns:
        Status, content type and body.

    Raises:
        SettingsError: The address is not http or https.
        ServiceUnreachableError: No answer in time, or one over `at_most` bytes.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"{url} is not an http or https address.")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(parts.hostname, parts.port, timeout=timeout)
        try:
            method = "GET" if body is None else "POST"
            connection.request(method, f"{parts.path.rstrip('/')}/{path}", body)
            answer = connection.getresponse()
            data = answer.read(at_most + 1)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ServiceUnreachableError(f"{url} did not answer.", hint="Is it running?") from error
    if len(data) > at_most:
        raise ServiceUnreachableError(f"{url} answered with over {at_most} bytes.")
    return answer.status, answer.getheader("Content-Type", ""), data


def read_url(url: str, *, timeout: float = TIMEOUT_SECONDS) -> Callable[[str], bytes]:
    """Return a reader of a log that a web server serves as static files."""

    def read(name: str) -> bytes:
        status, _, data = request(url, name, at_most=MAX_FILE_BYTES, timeout=timeout)
        if status == http.client.NOT_FOUND:
            raise NotFoundError(f"{url} has no file {name}.")
        if status != http.client.OK:
            raise ServiceUnreachableError(f"{url} answered {status} for {name}.")
        return data

    return read
