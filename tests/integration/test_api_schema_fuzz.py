"""Every operation of the OpenAPI document, fuzzed in the name of every role and of nobody.

No answer may be a failure of the server, or of a status, content type or shape that the document
does not name. Half of the calls are about jobs, organisations and projects that there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from manatee.api import create_app
from manatee.records import digest_bytes
from manatee.testing import ControlPlane
from manatee.testing._control_plane import RUNTIME, TWIN

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
CALLERS = ["alice", "hospital", "carol", "olga", ""]
"""A researcher, a data provider and reviewer, an auditor, an operator, and nobody."""

EXAMPLES = 8
"""Calls of each operation and caller."""


class Service:
    """A small control plane behind its HTTP app, and what its names are."""

    def __init__(self, folder: Path) -> None:
        self.plane = ControlPlane(folder)
        ended = self.plane.submit()
        self.plane.approve(ended)
        self.plane.reconciler().settle()
        self.plane.submit(submission=2)
        app = create_app(
            self.plane.store,
            self.plane.settings,
            self.plane.clock,
            runtimes=[RUNTIME],
            run_log=self.plane.run_log,
        )
        self.schema = schemathesis.openapi.from_asgi("/v1/openapi.json", app)
        # an event stream of a job that goes on would never end: streams are asked of this one
        self.ended = ended.id
        self.known: dict[str, list[str]] = {
            "job_id": [ended.id],
            "name": ["insurance", "study", "alice", "hospital"],
            "organisation": ["alice", "hospital"],
            "project": ["study"],
            "version": [self.plane.entry.version],
            "digest": [digest_bytes(TWIN)],
        }

    def operations(self) -> dict[str, Any]:
        found = (result.ok() for result in self.schema.get_all_operations())
        return {operation.label: operation for operation in found}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(tmp_path_factory.mktemp("fuzz"))
    yield made
    made.plane.store.close()


@pytest.mark.parametrize("caller", CALLERS)
def test_no_call_meets_a_failure_or_an_undocumented_answer(service: Service, caller: str) -> None:
    statuses: Counter[int] = Counter()
    headers = {}
    if caller:
        headers["authorization"] = f"Bearer {service.plane.tokens[caller]}"
    operations = service.operations()
    assert len(operations) > 20
    for operation in operations.values():

        @seed(1)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), data=st.data())
        def call(case: Any, data: st.DataObject) -> None:
            for name in case.path_parameters or {}:
                known = service.known.get(name, [])
                if known and data.draw(st.booleans()):
                    case.path_parameters[name] = data.draw(st.sampled_from(known))
            response = case.call(headers=headers)
            statuses[response.status_code] += 1
            case.validate_response(response, checks=CHECKS)

        call()
    assert max(statuses) < 500
    if caller:
        assert statuses[200] > 0
    else:
        assert statuses[401] > sum(statuses.values()) // 2
