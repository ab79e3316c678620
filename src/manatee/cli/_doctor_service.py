"""What `manatee doctor` says of a service: database, disk, files, clock, settings and tools.

Changes nothing, and makes no file: a home folder that is not there yet is said to be new. Only an
object store is tried by writing one small object of its own.
"""

from __future__ import annotations

import ctypes
import ipaddress
import shutil
import stat
from pathlib import Path

from manatee._clock import Clock
from manatee.cli._findings import Finding
from manatee.errors import ManateeError
from manatee.settings import Settings
from manatee.store import database_revision, database_time, try_blob_store, without_password

LEAST_FREE_BYTES = 5 << 30
"""A few uploads of data sets and a guest's scratch space."""

MOST_SKEW_SECONDS = 5.0
"""Between this machine and the database server: leases and approvals go by both clocks' hours."""

_CLOCK_WRONG = 5
"""What adjtimex(2) returns while nothing keeps the clock right (TIME_ERROR)."""

_SECRETS = ("*key*.json", "*identity*.json", "custody.json", "keybroker/*.json", "manatee.db")


def database(settings: Settings, clock: Clock) -> tuple[Finding, ...]:
    """Look whether the database answers, has this release's schema, and the same time."""
    if not settings.database_url and not (settings.home / "manatee.db").exists():
        return (Finding("database", True, "SQLite, made when the service first starts"),)
    where = without_password(settings.database_url) or "SQLite"
    try:
        found, wanted = database_revision(settings.home, settings.database_url)
        skew = 0.0
        if settings.database_url:
            skew = database_time(settings.database_url) - clock().timestamp()
    except ManateeError as error:
        hint = error.hint or "Is the server running, and may this user connect to it?"
        return (Finding("database", False, error.message, hint),)
    if found not in (None, wanted):
        detail = f"{where} has schema {found}; this release reads {wanted}."
        schema = Finding("database", False, detail, "Back up, then run `manatee admin migrate`.")
    else:
        schema = Finding("database", True, f"{where}, schema {found or 'made at first start'}")
    if abs(skew) <= MOST_SKEW_SECONDS:
        return (schema,)
    detail = f"the database server's clock differs by {skew:+.0f} s."
    return schema, Finding("clock", False, detail, "Let NTP keep both machines' clocks.")


def blobs(settings: Settings) -> tuple[Finding, ...]:
    """Try the object store, if blobs are in one: what it lets this machine do, not what it says."""
    if not settings.blob_store_url:
        return ()
    try:
        try_blob_store(settings.blob_store_url)
    except ManateeError as error:
        return (Finding("blobs", False, error.message, error.hint),)
    return (Finding("blobs", True, "the object store takes an object and gives it back"),)


def disk(settings: Settings) -> Finding:
    """Look how much room there is for blobs, the database and guests."""
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    detail = f"{free / (1 << 30):.1f} GiB free at {folder}"
    if free >= LEAST_FREE_BYTES:
        return Finding("disk", True, detail)
    hint = f"The service needs {LEAST_FREE_BYTES >> 30} GiB; make room, or move MANATEE_HOME."
    return Finding("disk", False, detail, hint)


def secrets(settings: Settings) -> Finding:
    """Look whether others on this machine can read keys, tokens or the database."""
    home = settings.home
    if not home.exists():
        return Finding("files", True, f"{home} is new; it will be its owner's alone")
    if not _open_to_others(home):
        return Finding("files", True, f"{home} is its owner's alone")
    readable = [
        path for pattern in _SECRETS for path in sorted(home.glob(pattern)) if _open_to_others(path)
    ]
    if not readable:
        return Finding("files", True, "no secret in the home folder can be read by others")
    detail = f"others on this machine can read {', '.join(path.name for path in readable[:5])}."
    return Finding("files", False, detail, f"chmod 700 {home}")


def _open_to_others(path: Path) -> bool:
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def dangerous(settings: Settings) -> tuple[Finding, ...]:
    """Name the settings that are right for trying things out, and wrong for real data."""
    found = [
        Finding(
            "settings",
            False,
            f"{name} is on: keys go to guests whose evidence proves less than hardware.",
            f"Unset MANATEE_{name.upper()} where the data is real.",
            needed=False,
        )
        for name in settings.insecure()
    ]
    if not _is_loopback(settings.host):
        detail = f"the service listens on {settings.host}, and speaks plain HTTP."
        hint = "Put a TLS proxy before it, or set MANATEE_HOST to 127.0.0.1."
        found.append(Finding("settings", False, detail, hint, needed=False))
    return tuple(found) or (Finding("settings", True, "none is dangerous"),)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def clock_is_kept() -> Finding:
    """Ask the kernel whether something keeps the clock right."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        state = -1
    if state in (-1, _CLOCK_WRONG):
        detail = "nothing keeps this machine's clock right, as far as its kernel knows."
        hint = "Run chrony or systemd-timesyncd; leases, tokens and approvals go by the clock."
        return Finding("ntp", False, detail, hint, needed=False)
    return Finding("ntp", True, "the clock is kept")


def tools(settings: Settings) -> tuple[Finding, ...]:
    """Look for programs that some of the work needs."""
    wanted = (
        ("pg_dump", "backups of a PostgreSQL database", "apt-get install postgresql-client"),
        ("node", "building the JupyterLab panel from its source", "install Node.js 20 or newer"),
        ("chromium", "the tests in a browser", "`playwright install chromium`"),
    )
    findings = []
    for program, use, way in wanted:
        here = shutil.which(program)
        needed = program == "pg_dump" and bool(settings.database_url)
        detail = here or f"not here; needed for {use} only."
        findings.append(
            Finding(program, here is not None, detail, "" if here else f"Get it: {way}.", needed)
        )
    return tuple(findings)
