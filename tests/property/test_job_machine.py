"""Whatever guests do and people decide, jobs stay in the table and end only without a guest."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from manatee.backends import GuestState
from manatee.jobs import TERMINAL_STATES, JobState, check_transition
from manatee.reconciler import Do, JobView, Move, Observed, ResultView, step
from manatee.records import KeyAnswer, KeyRequest, Phase

PHASES: tuple[Phase, ...] = ("attesting", "opening", "running", "output_check", "sealing")


class JobMachine(RuleBasedStateMachine):
    """A job, a guest, people, and a reconciler that may lose what it had not yet written."""

    def __init__(self) -> None:
        super().__init__()
        self.job = {"state": JobState.CREATED, "attempt": 1}
        self.guest = GuestState.LOST
        self.keys: tuple[KeyRequest, ...] = ()
        self.allowed: frozenset[str] = frozenset()
        self.phase: Phase | None = None
        self.approved = False
        self.released: bool | None = None
        self.granted = 0
        self.killed: set[int] = set()

    @rule(reachable=st.booleans(), crash=st.booleans())
    def reconcile(self, reachable: bool, crash: bool) -> None:
        view = JobView(**self.job)
        seen = self.guest if view.planned else None
        observed = Observed(
            guest=GuestState.UNKNOWN if seen and not reachable else seen,
            keys=self.keys,
            allowed=self.allowed,
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
                self.guest, self.phase = GuestState.QUEUED, None
                self.keys, self.allowed = (), frozenset()
            written = {"launched": True}
        elif what == "note_keys":
            written = {"key_requested": True, "keys": self.keys}
        elif what == "allow_keys":
            assert self.job["keys"], "it is recorded before it may go out"
            assert self.job["state"] not in (JobState.CANCELLING, JobState.FAILING)
            self.allowed = frozenset({"clinic"})
        elif what == "collect":
            assert self.guest is GuestState.SUCCEEDED
            written = {"result": ResultView(self.good, True)}
        elif what == "cancel":
            self.guest = GuestState.FAILED
        elif what == "clean_up":
            self.guest = GuestState.LOST
        elif what == "retry":
            assert self.granted == 0
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
        self.keys, self.allowed = (), frozenset()

    @precondition(lambda self: self.guest is GuestState.RUNNING)
    @rule(phase=st.sampled_from(PHASES))
    def guest_reports(self, phase: Phase) -> None:
        self.phase = phase
        self.keys = self.keys or (KeyRequest(broker_id="clinic"),)

    @precondition(lambda self: self.allowed and self.guest is GuestState.RUNNING)
    @rule(answer=st.sampled_from(["released", "denied", "failed"]))
    def broker_answers(self, answer: KeyAnswer) -> None:
        if self.keys[0].answer is None:
            self.keys = (KeyRequest(broker_id="clinic", answer=answer),)
            self.granted += answer == "released"

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
    def at_most_one_attempt_got_keys(self) -> None:
        assert self.granted <= 1


JobMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
test_jobs_stay_in_the_table = JobMachine.TestCase
