"""Looks whether jobs, their histories, and people's decisions about them are as was decided."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from manatee.errors import MalformedError
from manatee.jobs import TERMINAL_STATES, TRANSITIONS, JobState
from manatee.records import (
    JobEvent,
    JobManifest,
    KeyRequests,
    Review,
    digest_bytes,
    digest_record,
    read_record,
)
from manatee.store._audited_trail import BROKEN, CHANGED, GONE, STRANGE, Problem, Trail
from manatee.store._job_audit import end_digest, history_digest
from manatee.store._schema import (
    ApprovalRow,
    JobDatasetRow,
    JobEventRow,
    JobRow,
    ReviewRow,
)


def work(trail: Trail, session: Session) -> Iterator[Problem]:
    """Yield what is wrong with jobs and their histories."""
    seen = set()
    for row in session.scalars(select(JobRow).execution_options(yield_per=500)):
        seen.add(row.id)
        if row.id in trail.jobs:
            yield from _job(trail, session, row)
        elif not trail.left_out(row.created_at):
            yield f"jobs {row.id}", STRANGE
    yield from ((f"jobs {job}", GONE) for job in sorted(trail.jobs.keys() - seen))


def _job(trail: Trail, session: Session, row: JobRow) -> Iterator[Problem]:
    where = f"jobs {row.id}"
    digest, organisation = trail.jobs[row.id]
    if digest_bytes(row.manifest.encode()) != digest:
        yield where, CHANGED
        return
    manifest = read_record(row.manifest.encode(), JobManifest, what="stored manifest")
    expected = digest, manifest.researcher, manifest.project, organisation
    if (row.job_digest, row.researcher, row.project, row.organisation) != expected:
        yield where, "is filed under other names than it was submitted with"
    versions = session.scalars(select(JobDatasetRow.version).where(JobDatasetRow.job_id == row.id))
    if set(versions) != {use.version for use in manifest.datasets}:
        yield f"job_datasets of {row.id}", CHANGED
    yield from _keys(trail, row)
    texts = session.execute(
        select(JobEventRow.seq, JobEventRow.event)
        .where(JobEventRow.job_id == row.id)
        .order_by(JobEventRow.seq)
    ).all()
    if not texts or [seq for seq, _ in texts] != list(range(1, row.events + 1)):
        yield f"job_events {row.id}", "are not one after the other"
        return
    yield from _history(trail, row, [text for _, text in texts])


def _history(trail: Trail, row: JobRow, texts: Sequence[str]) -> Iterator[Problem]:
    where, events_where = f"jobs {row.id}", f"job_events {row.id}"
    try:
        events = [read_record(text.encode(), JobEvent, what="stored event") for text in texts]
        states = [JobState(event.state) for event in events if event.kind == "state"]
        state = JobState(row.state)
    except (MalformedError, ValueError):
        yield events_where, BROKEN
        return
    if not states or states[0] is not JobState.CREATED:
        yield events_where, "do not begin where jobs begin"
    for before, after in itertools.pairwise(states):
        if after not in TRANSITIONS[before]:
            yield events_where, f"go from {before.value} to {after.value}, which no job does"
    if events[-1].state != row.state:
        yield where, f"is {row.state}, and its last event says {events[-1].state}"
    ended = trail.ended.get(row.id)
    if ended is None:
        if state in TERMINAL_STATES:
            yield where, f"is {row.state}, and nothing says that it ended"
        return
    outcome, digest = ended
    if outcome != row.state:
        yield where, f"is {row.state}, and it ended as {outcome}"
    # the second: of before the end named the digests of what the job left
    if digest not in (end_digest(row, texts), history_digest(texts)):
        yield events_where, "and what it left are not what the job ended with"


def _keys(trail: Trail, row: JobRow) -> Iterator[Problem]:
    where = f"jobs {row.id}"
    try:
        kept = () if row.keys is None else _requests(row.keys).requests
    except MalformedError:
        yield where, BROKEN
        return
    decided = trail.key_answers.get(row.id, {})
    found = {request.broker_id: request for request in kept}
    for broker in sorted(decided.keys() | found.keys()):
        request = found.get(broker)
        if request is None or broker not in decided:
            yield where, f"and the trail differ on whether {broker} was asked for keys"
            continue
        expected, digest = decided[broker]
        if request.answer != expected or (request.decision or row.job_digest) != digest:
            yield where, f"and the trail differ on what {broker} answered"
    if decided and not row.key_requested:
        yield where, "says that no key was asked for, and one was"


def _requests(text: str) -> KeyRequests:
    return read_record(text.encode(), KeyRequests, what="stored key requests")


def decisions(trail: Trail, session: Session) -> Iterator[Problem]:
    """Yield what is wrong with approvals and reviews."""
    approvals = set()
    for approval in session.scalars(select(ApprovalRow)):
        key = (approval.job_id, approval.provider, approval.digest)
        approvals.add(key)
        where = f"approvals {approval.job_id}/{approval.provider}"
        if digest_bytes(approval.approval.encode()) != approval.digest:
            yield where, CHANGED
        elif key not in trail.approvals and approval.job_id in trail.jobs:
            yield where, STRANGE
    for job, provider, _ in sorted(trail.approvals - approvals):
        yield f"approvals {job}/{provider}", GONE
    found = {}
    for row in session.scalars(select(ReviewRow)):
        review = Review(
            decision="approve" if row.decision == "approve" else "reject",
            reason=row.reason,
            outputs_digest=row.outputs_digest,
        )
        found[row.job_id, row.provider] = row.reviewer, digest_record(review)
    for pair, decided in trail.reviews.items():
        if found.get(pair) != decided:
            yield f"reviews {'/'.join(pair)}", CHANGED if pair in found else GONE
    for pair in sorted(found.keys() - trail.reviews.keys()):
        if pair[0] in trail.jobs:
            yield f"reviews {'/'.join(pair)}", STRANGE
