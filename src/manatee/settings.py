"""All configuration, in one frozen object; the only module that reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from manatee.errors import SettingsError

PREFIX = "MANATEE_"


@dataclass(frozen=True)
class Settings:
    """Settings of one installation; each can be given as `MANATEE_<NAME>` in upper case.

    Attributes:
        home: Folder of the database, blobs, keys and guests.
        host: Address the service listens on.
        port: TCP port; 0 picks a free one.
        runtime: Folder of the notebooks' runtime (a virtual environment made from a lock file).
        url: Base URL of the service, for clients.
        token: API token of the caller, for clients.
        lease_seconds: How long a reconciler may hold a job without renewing.
        poll_seconds: Pause of the reconciler when nothing is to be done.
        max_jobs_in_flight: Jobs that may be launched at one time.
        max_queued_jobs: Jobs that may wait; a submission beyond is refused.
        tee: Device that makes the guests' evidence: `simulated`, or `software-tpm` (a real TPM
            protocol over software, which isolates nothing). Never detected, never fallen back to.
        run_log_witnesses: Witnesses that cosign the log of runs, separated by commas, each as its
            verifier key, `@` and its http address.
        blob_store_url: Where blobs are kept: `s3://bucket/prefix`, `gs://bucket/prefix` or
            `az://container/prefix`, with credentials and endpoint in the environment variables of
            the store's own tools. Empty: in `home`.
        database_url: The control plane's database on a PostgreSQL server, such as
            `postgresql://manatee@db.example/manatee`; its password is never shown. Empty: SQLite in
            `home`.
        public_url: Where browsers find the service, such as `https://manatee.example`: passkeys
            belong to it, and identity providers send people back to it. Empty: neither.
        oidc_issuer: The OpenID Connect provider people may sign in at. Empty: none.
        oidc_client_id: What the provider calls this service.
        oidc_client_secret_file: File that holds the client's secret, if the provider gave it one.
        hub_api_url: REST API of the JupyterHub whose tokens count here, such as
            `https://hub.example/hub/api`. Empty: none.
        hub_service: What that JupyterHub calls this service; its tokens need the scope
            `access:services!service=` with this name.
        insecure_accept_simulated_evidence: The embedded key broker accepts evidence of kind
            `simulated`, which proves nothing about hardware.
        insecure_release_real_data_below_hardware: The embedded key broker releases keys of data
            labelled `real` to guests below tier `hardware`.
    """

    home: Path = Path("~/.manatee")
    host: str = "127.0.0.1"
    port: int = 8765
    runtime: Path = Path("runtimes/tabular/.venv")
    url: str = ""
    token: str = ""
    lease_seconds: float = 10.0
    poll_seconds: float = 0.05
    max_jobs_in_flight: int = 2
    max_queued_jobs: int = 1000
    tee: str = "simulated"
    run_log_witnesses: str = ""
    blob_store_url: str = ""
    database_url: str = ""
    public_url: str = ""
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret_file: str = ""
    hub_api_url: str = ""
    hub_service: str = "manatee"
    insecure_accept_simulated_evidence: bool = False
    insecure_release_real_data_below_hardware: bool = False

    def insecure(self) -> tuple[str, ...]:
        """Return the names of the insecure settings that are on."""
        return tuple(
            item.name
            for item in fields(self)
            if item.name.startswith("insecure_") and getattr(self, item.name)
        )


_TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}


def _parse(name: str, text: str, default: object) -> object:
    try:
        if isinstance(default, bool):
            return _TRUTH[text.lower()]
        if isinstance(default, int):
            return int(text)
        if isinstance(default, float):
            return float(text)
        return Path(text) if isinstance(default, Path) else text
    except (KeyError, ValueError) as error:
        wanted = "true or false" if isinstance(default, bool) else "a number"
        raise SettingsError(f"{PREFIX}{name.upper()} must be {wanted}.") from error


def plain_environment() -> dict[str, str]:
    """Return this process's environment without ManaTEE's settings, for programs we start."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read settings from the environment.

    Args:
        environment: Stands in for the process environment in tests.

    Raises:
        SettingsError: A `MANATEE_` variable nobody knows, or a value of the wrong form.
    """
    given = os.environ if environment is None else environment
    known = {item.name: item.default for item in fields(Settings)}
    values: dict[str, object] = {}
    for variable, text in given.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in known:
            raise SettingsError(
                f"unknown setting {variable}.",
                hint="See `manatee settings` for the names that exist.",
            )
        values[name] = _parse(name, text, known[name])
    settings = Settings(**values)  # type: ignore[arg-type]  # each value was parsed to its type
    return replace_paths(settings)


def replace_paths(settings: Settings) -> Settings:
    """Return the settings with `~` expanded and paths absolute.

    Raises:
        SettingsError: A path begins with `~` and nobody knows this user's home folder.
    """
    values = {item.name: getattr(settings, item.name) for item in fields(settings)}
    for name in ("home", "runtime"):
        try:
            values[name] = values[name].expanduser().absolute()
        except RuntimeError as error:  # no HOME and no entry in the password file
            raise SettingsError(
                f"{PREFIX}{name.upper()} begins with ~, and this user has no home folder.",
                hint="Give an absolute path.",
            ) from error
    return Settings(**values)
