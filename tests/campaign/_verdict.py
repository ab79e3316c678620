"""What must hold when all is over: asked of database, journal, place, broker and log of runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sqlalchemy import select

from manatee.errors import ManateeError
from manatee.jobs import JobState, check_transition
from manatee.keybroker import BrokerStore
from manatee.ledger import LogReader, read_folder
from manatee.records import parse_json
from manatee.store import Job, Store
from manatee.store._schema import AllowanceRow, JobRow, OutboxRow

from ._place import PlaceBackend, fate_of, outputs_of, read_journal


@dataclass(frozen=True)
class Submitted:
    """A job that an API server acknowledged."""

    job_id: str
    job_digest: str
    cancelled: bool


def judge(
    store: Store, folder: Path, submitted: Mapping[int, Submitted], jobs: int
) -> dict[str, list[str]]:
    """Return the findings under each promise; an empty list is what is wanted."""
    journal = read_journal(folder)
    found: dict[str, list[str]] = {
        "jobs lost": [f"number {number}" for number in range(jobs) if number not in submitted],
        "jobs not ended, or ended without a reason": [],
        "guests started twice": _twice(journal, "start"),
        "orphan guests after the sweep": [
            handle.guest_name for handle in PlaceBackend(folder).list_orphans(frozenset())
        ],
        "keys granted twice, or asked for again": _twice(journal, "key")
        + [name for word, name in journal if word == "denied"]
        + _granted_twice(folder),
        "histories with gaps, wrong steps or another end": [],
        "outbox rows missing or too many": _outbox(store),
        "log of runs and database differ": [],
        "quotas, leases or folders left over": _left_over(store, folder),
        "outputs missing": [],
    }
    results = 0
    ends = {name for word, name in journal if word == "end"}
    for entry in submitted.values():
        try:
            job = store.jobs.get(entry.job_id)
        except ManateeError:
            found["jobs lost"].append(entry.job_id)
            continue
        results += job.result_digest is not None
        found["jobs not ended, or ended without a reason"] += _reason(job, entry)
        found["histories with gaps, wrong steps or another end"] += _history(store, job)
        if job.state is JobState.RELEASED:
            found["outputs missing"] += _outputs(store, job, ends)
    size = LogReader(read_folder(folder / "campaign-log")).checkpoint().checkpoint.size
    if size != results:
        found["log of runs and database differ"].append(f"{size} entries, {results} results")
    return found


def _twice(journal: list[tuple[str, str]], word: str) -> list[str]:
    counted = Counter(name for said, name in journal if said == word)
    return [f"{name} ({times}x)" for name, times in counted.items() if times > 1]


def _granted_twice(folder: Path) -> list[str]:
    store = BrokerStore(folder / "broker" / "broker.db")
    try:
        bodies = [parse_json(item.body) for item in store.decisions()]
    finally:
        store.close()
    granted = Counter(body["job_digest"] for body in bodies if body["outcome"] == "released")
    if not granted:
        return ["the broker granted nothing at all"]
    return [f"{digest} ({times}x)" for digest, times in granted.items() if times > 1]


def _reason(job: Job, entry: Submitted) -> list[str]:
    if not job.terminal:
        return [f"{job.id} is {job.state.value}"]
    right = {
        "succeeds": JobState.RELEASED,
        "vanishes early": JobState.RELEASED,  # at its second attempt
        "vanishes late": JobState.FAILED,
        "fails": JobState.FAILED,
    }[fate_of(job.job_digest)]
    if job.state is not right and not (entry.cancelled and job.state is JobState.CANCELLED):
        cause = "no cause" if job.cause is None else job.cause.value
        said = f"attempt {job.attempt}: {cause}, {job.reason_code} {job.message}"
        return [f"{job.id} {job.state.value} ({said}), not {right.value}"]
    if job.state is not JobState.RELEASED and job.cause is None:
        return [f"{job.id} {job.state.value} without a cause"]
    return []


def _history(store: Store, job: Job) -> list[str]:
    events = store.jobs.events(job.id, limit=10_000)
    problems = []
    if [event.seq for event in events] != list(range(1, len(events) + 1)):
        problems.append(f"{job.id}: a gap")
    states = [JobState(event.state) for event in events if event.kind == "state"]
    try:
        for before, after in pairwise(states):
            if before is not after:
                check_transition(before, after)
    except ManateeError:
        problems.append(f"{job.id}: {' '.join(state.value for state in states)}")
    if not states or states[-1] is not job.state:
        problems.append(f"{job.id}: its last event is not its state")
    return problems


def _outbox(store: Store) -> list[str]:
    with store.database.read() as session:
        rows = Counter((row.job_id, row.seq) for row in session.scalars(select(OutboxRow)))
        ids = list(session.scalars(select(JobRow.id)))
    wanted = Counter(
        (job_id, event.seq)
        for job_id in ids
        for event in store.jobs.events(job_id, limit=10_000)
        if event.kind == "state"
    )
    return [] if rows == wanted else [f"{len(rows)} rows, {len(wanted)} changes of state"]


def _left_over(store: Store, folder: Path) -> list[str]:
    with store.database.read() as session:
        problems = [
            f"{row.kind} {row.name} still uses {row.jobs} jobs"
            for row in session.scalars(select(AllowanceRow).where(AllowanceRow.jobs != 0))
        ]
        owned = select(JobRow).where(JobRow.lease_owner.is_not(None))
        problems += [f"{row.id} is still leased" for row in session.scalars(owned)]
    work = folder / "work"
    if work.exists():
        problems += [f"folder of {item.name} was left" for item in work.iterdir()]
    return problems


def _outputs(store: Store, job: Job, ends: set[str]) -> list[str]:
    problems = []
    if job.guest_name not in ends:
        problems.append(f"{job.id} was released, but its guest never ended")
    if job.outputs_digest is None or store.blobs.read(job.outputs_digest) != outputs_of(
        job.job_digest
    ):
        problems.append(f"{job.id} has not the outputs of its guest")
    return problems
