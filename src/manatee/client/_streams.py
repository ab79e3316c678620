"""Server-sent events, read line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from manatee.records import JobEvent, read_record


def read_events(lines: Iterable[str]) -> Iterator[JobEvent]:
    """Yield the events of a stream; comments (heartbeats) are passed over.

    Raises:
        MalformedError: Data that is not a JobEvent.
    """
    data: list[str] = []
    for line in lines:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif line == "" and data:
            yield read_record("\n".join(data).encode(), JobEvent, what="event")
            data.clear()
