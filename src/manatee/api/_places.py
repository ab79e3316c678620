"""Where people sign in from and at: from the settings, checked when the service starts."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import httpx

from manatee._clock import Clock
from manatee.errors import SettingsError
from manatee.identity import Provider, is_local
from manatee.settings import Settings

TIMEOUT_SECONDS = 10.0


def public_url_of(settings: Settings) -> str:
    """Return where browsers find the service; "" if that is not set.

    Raises:
        SettingsError: It is not the https URL of a host.
    """
    url = settings.public_url.rstrip("/")
    parts = urlsplit(url)
    plain = parts.scheme == "http" and is_local(url)
    if url and (
        not (parts.scheme == "https" or plain)
        or not parts.hostname
        or url != f"{parts.scheme}://{parts.netloc}"
    ):
        raise SettingsError(
            "public_url must be the https URL of a host, without a path.",
            hint="Such as https://manatee.example.",
        )
    return url


def provider_of(settings: Settings, clock: Clock) -> Provider | None:
    """Return the identity provider of the settings; None if they name none.

    Raises:
        SettingsError: They are not enough, or cannot be used.
    """
    if not settings.oidc_issuer:
        return None
    if not settings.public_url:
        raise SettingsError("oidc_issuer is set and public_url is not.")
    secret = ""
    if settings.oidc_client_secret_file:
        try:
            secret = Path(settings.oidc_client_secret_file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError("oidc_client_secret_file cannot be read.") from error
    http = httpx.Client(
        timeout=TIMEOUT_SECONDS,
        follow_redirects=False,
        trust_env=False,
        limits=httpx.Limits(max_keepalive_connections=0),  # it is asked seldom
    )
    return Provider(
        http,
        clock,
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        secret=secret,
    )
