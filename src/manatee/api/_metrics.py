"""What operators watch: Prometheus metrics without a name, digest or value of anybody's.

Requests are counted where they end, by route template; jobs are counted in the database when a
scraper asks, so every process of an installation says the same of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from manatee._clock import monotonic
from manatee.jobs import JobState
from manatee.store import Store

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The metrics of one app."""

    def __init__(self, store: Store, version: str) -> None:
        """Measure an app over a store.

        Args:
            store: Its jobs are counted at every scrape.
            version: Of this release.
        """
        self._registry = CollectorRegistry(auto_describe=True)
        self._requests = Counter(
            "manatee_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "manatee_http_request_seconds",
            "Time until an answer began.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        Info("manatee_build", "This release.", registry=self._registry).info({"version": version})
        self._registry.register(_Jobs(store))

    def text(self) -> bytes:
        """Return all of them in the text format.

        Raises:
            StoreError: The jobs cannot be counted.
        """
        return generate_latest(self._registry)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)


class _Jobs(Collector):
    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> list[Metric]:
        """Name what is collected without counting anything."""
        return [GaugeMetricFamily("manatee_jobs", "")]

    def collect(self) -> Iterator[Metric]:
        """Count the jobs in each state."""
        found = self._store.jobs.counts()
        family = GaugeMetricFamily("manatee_jobs", "Jobs in each state.", labels=("state",))
        for state in JobState:
            family.add_metric([state.value], found.get(state.value, 0))
        yield family


class Measured:
    """ASGI middleware that times requests; what a caller made up never becomes a label."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Stand before an app."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count its answer when it begins."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = monotonic()

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = scope.get("route")
                template = getattr(route, "path", "") if isinstance(route, BaseRoute) else ""
                method = scope["method"] if scope["method"] in _METHODS else "other"
                self._metrics.answered(
                    method, template or "none", message["status"], monotonic() - began
                )
            await send(message)

        await self._app(scope, receive, told)
