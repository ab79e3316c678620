"""The processes that the campaign kills: API servers, reconcilers; and the key broker, spared."""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from manatee._clock import system_clock
from manatee.api import create_app, serve
from manatee.keybroker import asgi_app, open_broker
from manatee.ledger import ED25519, EntryLog, signer_in
from manatee.policy import ACCEPT_SIMULATED, REAL_BELOW_HARDWARE
from manatee.reconciler import Reconciler
from manatee.settings import Settings
from manatee.store import Store, open_store
from manatee.testing._control_plane import RUNTIME

from . import _planted
from ._place import SWEEP_SECONDS, PlaceBackend, write_journal

LEASE_SECONDS = 2.0
IN_FLIGHT = 12


@dataclass(frozen=True)
class WorkerConfig:
    """What a worker needs to know.

    Attributes:
        clock_file: Seconds by which its clock is wrong; changed while it runs.
        crash_chance: Of a kill -9 at each point between two effects.
        unanswered_chance: That the answer to a question after a guest's status is lost.
        planted: Name of a bug it is to have, of `_planted.BUGS`; "" for none.
    """

    name: str
    folder: Path
    database_url: str
    blobs_url: str
    clock_file: Path
    seed: str
    crash_chance: float = 0.0
    unanswered_chance: float = 0.0
    port: int = 0
    planted: str = ""
    environment: tuple[tuple[str, str], ...] = ()

    def clock(self) -> datetime:
        """Return what this worker takes for the present moment."""
        try:
            return system_clock() + timedelta(seconds=float(self.clock_file.read_text()))
        except (FileNotFoundError, ValueError):
            return system_clock()


def _begin(config: WorkerConfig) -> Store:
    os.environ.update(config.environment)
    log = open(config.folder / "logs" / f"{config.name}.log", "a")  # until its end
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    return open_store(
        config.folder / "store",
        clock=config.clock,
        database_url=config.database_url,
        blobs_url=config.blobs_url,
    )


def run_log(folder: Path) -> EntryLog:
    """Return the log of runs that all reconcilers share."""
    signer = signer_in(folder / "log-key.json", "manatee.invalid/runs/campaign", ED25519)
    return EntryLog(folder / "campaign-log", signer)


def run_api(config: WorkerConfig) -> None:
    """Be an API server."""
    store = _begin(config)
    settings = replace(Settings(), home=config.folder, max_queued_jobs=100_000)
    app = create_app(store, settings, config.clock, runtimes=[RUNTIME])
    serve(app, host="127.0.0.1", port=config.port)


def run_reconciler(config: WorkerConfig) -> None:
    """Be a reconciler."""
    store = _begin(config)
    chance = random.Random(f"{config.seed}-{config.name}-answers")
    place = PlaceBackend(config.folder, lambda: chance.random() < config.unanswered_chance)
    reconciler = Reconciler(
        store=store,
        backends={place.kind: place},
        runtimes={RUNTIME: config.folder},
        folder=config.folder / "work",
        clock=config.clock,
        owner=f"{config.name}-{os.getpid()}",
        lease_seconds=LEASE_SECONDS,
        sweep_seconds=SWEEP_SECONDS,
        max_jobs_in_flight=IN_FLIGHT,
        run_log=run_log(config.folder),
        after_step=_crash_at_points(config),
    )
    if config.planted:
        _planted.BUGS[config.planted](reconciler)
    reconciler.run()


def _crash_at_points(config: WorkerConfig) -> Callable[[str], None]:
    chance = random.Random(f"{config.seed}-{config.name}")

    def after_step(point: str) -> None:
        if point == "before launch" and chance.random() < config.crash_chance:
            write_journal(config.folder, "sleep", config.name)
            time.sleep(3 * LEASE_SECONDS)
        if chance.random() < config.crash_chance:
            write_journal(config.folder, "crash", point.replace(" ", "-"))
            os.kill(os.getpid(), signal.SIGKILL)

    return after_step


def run_broker(folder: Path, port: int) -> None:
    """Be the key broker: the real one; only the evidence it takes proves nothing."""
    broker = open_broker(
        folder / "broker",
        clock=system_clock,
        log=lambda _event, _fields: None,
        insecure_settings=(ACCEPT_SIMULATED, REAL_BELOW_HARDWARE),
    )
    serve(asgi_app(broker), host="127.0.0.1", port=port)
