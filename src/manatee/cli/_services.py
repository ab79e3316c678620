"""`manatee serve`: API, reconciler and an embedded key broker in one process; and how to start it.

The embedded broker is mounted at `/keybroker` if the home folder holds one. A provider who wants
the operator out of reach of its keys runs `manatee keybroker serve` on a machine of its own.
"""

from __future__ import annotations

import os
import platform
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from manatee._clock import monotonic, system_clock
from manatee.cli._processes import (
    Part,
    announce,
    hold_alone,
    refuse_embedded_broker,
    retract,
    wait_for_the_end,
)
from manatee.collateral import Collateral
from manatee.errors import ServiceUnreachableError, StoreError, StoreRefusedError
from manatee.keybroker import asgi_app, open_broker
from manatee.ledger import ED25519, EntryLog, parse_witnesses, signer_in
from manatee.records import parse_json
from manatee.settings import PREFIX, Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from manatee.store import Store

SANDBOX_FOLDER = "sandbox"
START_SECONDS = 60
STOP_SECONDS = 30


def mount_key_broker(app: FastAPI, settings: Settings) -> bool:
    """Mount the broker of the home folder, if there is one, at `/keybroker`.

    Raises:
        SettingsError: The broker has no policy, or another process runs it.
    """
    folder = settings.home / "keybroker"
    if not (folder / "broker.json").exists():
        return False
    hold_alone(folder)
    import structlog

    logger = structlog.get_logger("keybroker")

    def log(event: str, values: dict[str, object]) -> None:
        logger.info(event, **values)

    broker = open_broker(
        folder,
        clock=system_clock,
        log=log,
        insecure_settings=settings.insecure(),
        endorsements=Collateral.open(folder / "collateral").endorsements,
    )
    app.mount("/keybroker", asgi_app(broker))
    return True


def run_log(home: Path, witnesses: str = "") -> EntryLog:
    """Return the installation's transparency log of runs; starts it on first use.

    Its folder holds static files that anybody may be given to read, mirror and watch; the key
    lies beside it.

    Args:
        home: The installation.
        witnesses: As the setting `run_log_witnesses` names them.

    Raises:
        LedgerError, StoreError: It cannot be read or written, or its files are damaged.
        SettingsError: A witness is not named as it must be.
    """
    asked = parse_witnesses(witnesses)
    name = f"manatee.invalid/runs/{secrets.token_hex(8)}"
    return EntryLog(home / "run-log", signer_in(home / "run-log-key.json", name, ED25519), asked)


def environment_of(settings: Settings) -> dict[str, str]:
    """Return settings as the environment variables that give them."""
    values = {}
    for item in fields(settings):
        value = getattr(settings, item.name)
        text = str(value).lower() if isinstance(value, bool) else str(value)
        values[PREFIX + item.name.upper()] = text
    return values


def serve(settings: Settings, only: Part | None = None) -> None:
    """Run everything until SIGINT or SIGTERM; requests and actions in hand are finished.

    Args:
        settings: Of the installation.
        only: Run this part alone, beside other processes of the same installation.

    Raises:
        RuntimeEnvironmentError: The runtime is missing or unlocked.
        SettingsError: The address cannot be listened on, the broker has no policy, or is another
            process's.
        StoreError: The home folder cannot be used, or the object store lets nobody in.
    """
    from manatee.api import create_app
    from manatee.api import serve as serve_app
    from manatee.cli._tee import tee_named
    from manatee.reconciler import Reconciler
    from manatee.runtime import runtime_digest
    from manatee.sequencer import Sequencer, open_audit_log
    from manatee.store import open_store

    _log_json()
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    sandbox = settings.home / SANDBOX_FOLDER
    runtime = runtime_digest(settings.runtime, cache=sandbox / "runtime-cache")
    store = open_store(
        settings.home,
        clock=system_clock,
        blobs_url=settings.blob_store_url,
        database_url=settings.database_url,
    )
    try:
        look_for_blobs(store)
        tee = tee_named(settings.tee)
        tee.root(settings.home)  # a device that cannot be had is an error now, not at the first job
        backend = tee.backend(sandbox, settings.home)
        runs = run_log(settings.home, settings.run_log_witnesses)
        audit_log = open_audit_log(settings.home)
        app = create_app(
            store,
            settings,
            system_clock,
            runtimes={runtime},
            run_log=runs,
            audit_log=audit_log,
        )
        if only is None:
            mount_key_broker(app, settings)
        else:
            refuse_embedded_broker(settings)
        owner = f"{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"
        sequencer = Sequencer(store, audit_log, owner=owner)
        reconciler = Reconciler(
            store=store,
            backends={backend.kind: backend},
            runtimes={runtime: settings.runtime},
            folder=settings.home / "jobs",
            clock=system_clock,
            run_log=runs,
            owner=owner,
            lease_seconds=settings.lease_seconds,
            poll_seconds=settings.poll_seconds,
            max_jobs_in_flight=settings.max_jobs_in_flight,
        )

        def started(url: str) -> None:
            # guests ask the embedded key broker at once: none is launched before it listens
            if only is None:
                reconciler.start()
                sequencer.start()
            announce(settings, url)

        try:
            if only is Part.RECONCILER:
                reconciler.start()
                sequencer.start()
                wait_for_the_end()
            else:
                serve_app(app, host=settings.host, port=settings.port, on_started=started)
        finally:
            reconciler.stop()
            sequencer.stop()
    finally:
        retract(settings)
        store.close()


def look_for_blobs(store: Store) -> None:
    """Refuse to start without the object store; one that is only away now is waited for."""
    import structlog

    try:
        store.blobs.probe()
    except StoreRefusedError:
        raise
    except StoreError as error:
        structlog.get_logger("store").warning("no object store for now", reason=error.message)


def serve_key_broker(folder: Path, *, host: str, port: int, settings: Settings) -> None:
    """Run one key broker alone until SIGINT or SIGTERM.

    Raises:
        SettingsError: The folder holds no broker, or no policy, or another process runs it, or
            the address is taken.
    """
    from manatee.api import serve as serve_app

    _log_json()
    hold_alone(folder)
    broker = open_broker(
        folder,
        clock=system_clock,
        log=_broker_log(),
        insecure_settings=settings.insecure(),
        endorsements=Collateral.open(folder / "collateral").endorsements,
    )
    serve_app(asgi_app(broker), host=host, port=port, on_started=lambda url: print(url, flush=True))


def _log_json() -> None:
    """Write every log line, the libraries' too, as one JSON object to standard error."""
    import logging

    import structlog

    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def _broker_log() -> Callable[[str, dict[str, object]], None]:
    import structlog

    logger = structlog.get_logger("keybroker")

    def log(event: str, values: dict[str, object]) -> None:
        logger.info(event, **values)

    return log


@contextmanager
def running_service(settings: Settings, *, log: Path) -> Iterator[str]:
    """Run `manatee serve` in a process of its own while the block runs.

    Yields:
        Its base URL.

    Raises:
        ServiceUnreachableError: It did not come up; the end of its log is in the message.
    """
    announced = settings.home / "service.json"
    announced.unlink(missing_ok=True)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "manatee.cli", "serve"],
            env={"PATH": os.defpath, **environment_of(settings)},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = monotonic() + START_SECONDS
        while not announced.exists():
            if process.poll() is not None or monotonic() > deadline:
                end = log.read_text(errors="replace")[-800:]
                raise ServiceUnreachableError(f"the service did not start: {end}")
            time.sleep(0.02)
        yield str(parse_json(announced.read_bytes())["url"])
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
