"""Waiting on the loopback interface for the person's browser to bring a code."""

from __future__ import annotations

import http.server
import threading
import webbrowser
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from manatee.client import AskedBrowser, Program, SignInClient
from manatee.errors import AuthenticationError
from manatee.records import IssuedToken

PATIENCE_SECONDS = 300.0
_DONE = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>ManaTEE</title>
<body><h1>Done</h1><p>You can close this page and go back to the program.</p></body></html>"""


class _Listener(http.server.HTTPServer):
    """Takes one answer; whatever else comes is told that there is nothing."""

    brought: dict[str, list[str]] | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answered = threading.Event()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Listener
    timeout = 10.0
    sys_version = ""

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: the code stands in the address."""

    def do_GET(self) -> None:
        """Take the answer."""
        address = urlsplit(self.path)
        given = parse_qs(address.query, max_num_fields=10)
        fits = address.path == "/" and "code" in given and "state" in given
        self.send_response(200 if fits else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Security-Policy", "default-src 'none'")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        body = _DONE if fits else b""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if fits and self.server.brought is None:
            self.server.brought = given
            self.server.answered.set()


def sign_in_by_browser(
    service: str,
    *,
    program: Program,
    say: Callable[[str], None],
    open_browser: Callable[[str], bool] = webbrowser.open,
    patience_seconds: float = PATIENCE_SECONDS,
) -> IssuedToken:
    """Send the person's browser to the service's sign-in page and wait for the token.

    Args:
        service: Base URL of the service.
        program: Who asks.
        say: Tells the person the address, for a browser that did not open.
        open_browser: Opens an address.
        patience_seconds: How long to wait.

    Raises:
        AuthenticationError: Nobody said yes in time, or the answer was to another question.
        ServiceUnreachableError: The service did not answer.
    """
    asked = AskedBrowser.fresh()
    with _Listener() as listener:
        threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True).start()
        try:
            return_to = f"http://127.0.0.1:{listener.server_port}/"
            address = asked.address(service, program=program, return_to=return_to)
            say(address)
            open_browser(address)
            if not listener.answered.wait(patience_seconds) or listener.brought is None:
                raise AuthenticationError("nobody said yes in the browser in time.")
            brought = listener.brought
        finally:
            listener.shutdown()
    with SignInClient(service) as client:
        return asked.exchange(client, state=brought["state"][0], code=brought["code"][0])
