"""Whatever guests do and people decide, jobs stay in the table and end only without a guest."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from manatee.backends import GuestState
from manatee.jobs import TERMINAL_STATES, JobState, check_transition
from manatee.reconciler import Do, JobView, Move, Observed, ResultView, step
from manatee.records import Phase

PHASES: tuple[Phase, ...] = ("attesting", "opening", "running", "output_check", "sealing")


class JobMachine(RuleBasedStateMachine):
    """A job, a guest, people, and a reconciler that may lose what it had not yet written."""

    def __init__(self) -> None:
        super().__init__()
        self.job = {"state": JobState.CREATED, "attempt": 1}
        self.guest = GuestState.LOST
        self.key = False
        self.phase: Phase | None = None
        self.approved = False
        self.released: bool | None = None
        self.keys_asked = 0
        self.killed: set[int] = set()

    @rule(reachable=st.booleans(), crash=st.booleans())
    def reconcile(self, reachable: bool, crash: bool) -> None:
        view = JobView(**self.job)
        seen = self.guest if view.planned else None
        observed = Observed(
            guest=GuestState.UNKNOWN if seen and not reachable else seen,
            key_requested=self.key,
            phase=self.phase,
            approved=self.approved,
            released=self.released,
        )
        action = step(view, observed)
        if isinstance(action, Move):
            check_transition(view.state, action.after)
            if action.after in TERMINAL_STATES:
                assert self.guest.ended
            if not crash:
                self.job["state"] = action.after
        elif isinstance(action, Do):
            self.do(action.what, crash)

    def do(self, what: str, crash: bool) -> None:
        written: dict[str, object] = {}
        if what == "check":
            written = {"state": JobState.AWAITING_APPROVAL}
        elif what == "build":
            written = {"state": JobState.BUILT}
        elif what == "intend":
            written = {"state": JobState.LAUNCHING, "planned": True}
        elif what == "launch":
            if self.job["attempt"] not in self.killed:
                self.killed.add(self.job["attempt"])
                self.guest, self.key, self.phase = GuestState.QUEUED, False, None
            written = {"launched": True}
        elif what == "note_key":
            written = {"key_requested": True}
        elif what == "collect":
            assert self.guest is GuestState.SUCCEEDED
            written = {"result": ResultView(self.good, True)}
        elif what == "cancel":
            self.guest = GuestState.FAILED
        elif what == "clean_up":
            self.guest = GuestState.LOST
        elif what == "retry":
            assert self.keys_asked == 0
            self.guest = GuestState.LOST
            written = {
                "state": JobState.BUILT,
                "attempt": self.job["attempt"] + 1,
                "planned": False,
                "launched": False,
            }
        if not crash:
            if "state" in written:
                check_transition(self.job["state"], written["state"])
            self.job.update(written)

    @precondition(lambda self: not self.guest.ended)
    @rule(end=st.sampled_from([None, None, GuestState.SUCCEEDED, GuestState.FAILED]))
    def guest_moves(self, end: GuestState | None) -> None:
        nxt = {
            GuestState.QUEUED: GuestState.STARTING,
            GuestState.STARTING: GuestState.RUNNING,
            GuestState.RUNNING: GuestState.RUNNING,
        }
        self.guest = end or nxt[self.guest]
        self.good = True

    @precondition(lambda self: not self.guest.ended)
    @rule()
    def guest_vanishes_with_its_memory(self) -> None:
        self.guest = GuestState.LOST
        if self.job.get("key_requested") or not self.key:
            self.key = False

    @precondition(lambda self: self.guest is GuestState.RUNNING)
    @rule(phase=st.sampled_from(PHASES))
    def guest_reports(self, phase: Phase) -> None:
        self.phase = phase
        if not self.key:
            self.key = True
            self.keys_asked += 1

    @rule()
    def approve(self) -> None:
        self.approved = True

    @rule(yes=st.booleans())
    def review(self, yes: bool) -> None:
        if self.released is None:
            self.released = yes

    @precondition(
        lambda self: (
            JobState.CANCELLING not in (self.job["state"],)
            and self.job["state"] not in TERMINAL_STATES
            and self.job["state"] is not JobState.FAILING
        )
    )
    @rule(really=st.integers(0, 9))
    def cancel(self, really: int) -> None:
        if really == 0:
            self.job["state"] = JobState.CANCELLING

    @invariant()
    def a_job_that_ended_has_no_live_guest(self) -> None:
        if self.job["state"] in TERMINAL_STATES:
            assert self.guest.ended

    @invariant()
    def at_most_one_attempt_asked_for_keys(self) -> None:
        assert self.keys_asked <= 1


JobMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
test_jobs_stay_in_the_table = JobMachine.TestCase
