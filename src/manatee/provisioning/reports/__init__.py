"""Reports on a twin: one to pass on, from released numbers only; one that stays with the provider.

The second compares with the real tables, so everything in it is private.
"""

from manatee.provisioning.reports._integrity import RuleFinding, check_rules
from manatee.provisioning.reports._make import Report, provider_report, shareable_report
from manatee.provisioning.reports._promise import Measured, Promise, StatementLike, promise_of
from manatee.provisioning.reports._released import NoisyMarginal
from manatee.provisioning.reports._rows import Rows
from manatee.provisioning.reports._task import Task, TaskLike, default_task

__all__ = [
    "Measured",
    "NoisyMarginal",
    "Promise",
    "Report",
    "Rows",
    "RuleFinding",
    "StatementLike",
    "Task",
    "TaskLike",
    "check_rules",
    "default_task",
    "promise_of",
    "provider_report",
    "shareable_report",
]
