"""The shipped dashboard asks for metrics and labels that the service has."""

from __future__ import annotations

import json
import re
from pathlib import Path

from manatee.api._metrics import Metrics
from manatee.jobs import JobState
from manatee.testing import ControlPlane

DASHBOARD = Path(__file__).parents[3] / "deploy" / "grafana" / "manatee.json"


def expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def test_every_metric_is_one_that_the_service_reports(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path)
    metrics = Metrics(plane.store, "1")
    metrics.answered("GET", "/", 200, 0.1)
    reported = set(re.findall(r"^(manatee_\w+)", metrics.text().decode(), re.MULTILINE))
    plane.store.close()
    asked = {name for text in expressions() for name in re.findall(r"manatee_\w+", text)}
    assert asked
    assert asked <= reported


def test_every_state_is_one_that_a_job_can_have() -> None:
    known = {state.value for state in JobState}
    named = [names for text in expressions() for names in re.findall(r'state=~?"([^"]+)"', text)]
    assert named
    assert {state for names in named for state in names.split("|")} <= known
