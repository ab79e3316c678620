"""A short campaign at every test run; `python -m tests.campaign` is the long one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from manatee.testing._postgresql import postgresql_programs

from ._campaign import Asked, campaign
from ._place import fate_of

SHORT = Asked(jobs=12, pause=0.6, restarts=1, crash_chance=0.006)


@pytest.mark.skipif(postgresql_programs() is None, reason="no PostgreSQL server here")
def test_no_job_is_lost_or_run_twice_while_processes_and_database_are_killed() -> None:
    report = campaign(SHORT)
    assert report.good, f"{report.table()}\n{report.logs}"
    assert sum(report.ends.values()) == SHORT.jobs
    assert report.ends["released"] > SHORT.jobs // 2
    assert report.did["kill -9 of reconciler"] + report.did["kill -9 of api"] > 3


FEW = Asked(jobs=4, database="sqlite", reconcilers=2, pause=2.0)


def test_a_launch_before_its_intention_is_found() -> None:
    report = campaign(replace(FEW, planted="launch-before-intention"))
    assert not report.good
    assert report.found["guests started twice"]


def test_a_guest_that_is_given_up_because_one_answer_was_lost_is_found() -> None:
    report = campaign(replace(FEW, planted="unknown-is-lost", unanswered_chance=0.3))
    assert not report.good
    assert report.found["jobs not ended, or ended without a reason"]


def test_some_guests_of_a_campaign_fail_and_vanish() -> None:
    fates = {fate_of(f"sha256:{number:08x}") for number in range(20)}
    assert fates == {"succeeds", "fails", "vanishes early", "vanishes late"}
