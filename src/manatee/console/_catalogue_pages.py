"""Data sets: schema, what protects them, rules, versions."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from manatee.console._pages import SessionOf, page

router = APIRouter(prefix="/datasets")


@router.get("")
def list_datasets(request: Request, session: SessionOf, q: str = "") -> Response:
    """List the catalogue as far as the person may see it."""
    entries = [
        entry
        for entry in session.client.datasets()
        if q.lower() in f"{entry.publication.dataset.name} {entry.publication.dataset.provider}"
    ]
    return page(request, "datasets.html", session=session, entries=entries, q=q)


@router.get("/{name}")
def show_dataset(request: Request, session: SessionOf, name: str) -> Response:
    """Show one data set."""
    entry = session.client.dataset(name)
    return page(
        request,
        "dataset.html",
        session=session,
        entry=entry,
        statement=flat(entry.publication.privacy_statement),
    )


def flat(value: object, prefix: str = "") -> list[tuple[str, str]]:
    """Return nested values as lines: the path of names, and the value as text."""
    if isinstance(value, dict):
        return [
            row
            for key, item in value.items()
            for row in flat(item, f"{prefix} › {key}" if prefix else str(key))
        ]
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return [row for n, item in enumerate(value, 1) for row in flat(item, f"{prefix} {n}")]
    if isinstance(value, list):
        return [(prefix, ", ".join(map(str, value)))]
    return [(prefix, str(value))]
