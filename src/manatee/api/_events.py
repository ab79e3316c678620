"""A job's events as a stream (server-sent events), resumable at any point."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from manatee._clock import monotonic
from manatee.api._answers import JOB_ERRORS, documented
from manatee.api._callers import CallerOf, job_for
from manatee.api._context import Context, context_of
from manatee.jobs import TERMINAL_STATES, JobState
from manatee.records import JobEvent
from manatee.rights import Action

router = APIRouter(prefix="/v1/jobs")

_TICK_SECONDS = 0.02
"""Pause between two looks at this process's change counter."""

_OTHERS_SECONDS = 0.5
"""Longest pause between two looks at the database, for what other processes wrote."""


@router.get(
    "/{job_id}/events",
    response_class=Response,
    responses=documented(
        "Events as `id`, `event` and `data` (a JobEvent); ends after the last one.",
        JobEvent,
        *JOB_ERRORS,
        media_type="text/event-stream",
    ),
)
def stream_events(
    request: Request,
    job_id: str,
    account: CallerOf,
    last_event_id: Annotated[int, Header(ge=0, le=2**53)] = 0,
) -> Response:
    """Follow a job; `Last-Event-ID` resumes after an event already seen."""
    job_for(request, account, job_id, Action.SEE_JOB)
    events = _events(context_of(request), job_id, last_event_id)
    return StreamingResponse(
        events, media_type="text/event-stream", headers={"cache-control": "no-store"}
    )


def _frame(event: JobEvent) -> bytes:
    data = msgspec.json.encode(event)
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.seq, event.kind.encode(), data)


async def _events(context: Context, job_id: str, after: int) -> AsyncIterator[bytes]:
    jobs, changes = context.store.jobs, context.store.changes
    spoke = monotonic()
    while not context.stopping.is_set():
        seen = changes.count
        events = await run_in_threadpool(jobs.events, job_id, after=after)
        for event in events:
            yield _frame(event)
            after, spoke = event.seq, monotonic()
        if events:
            if JobState(events[-1].state) in TERMINAL_STATES:
                return
            continue
        if after and JobState((await run_in_threadpool(jobs.get, job_id)).state) in TERMINAL_STATES:
            return  # resumed after the last event
        if monotonic() - spoke >= context.heartbeat_seconds:
            yield b": still here\n\n"
            spoke = monotonic()
        looked = monotonic()
        while (  # noqa: ASYNC110  # the counter is raised by threads, not by this event loop
            changes.count == seen
            and not context.stopping.is_set()
            and monotonic() - looked < min(_OTHERS_SECONDS, context.heartbeat_seconds)
        ):
            await asyncio.sleep(_TICK_SECONDS)
