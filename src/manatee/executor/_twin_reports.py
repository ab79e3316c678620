"""The report of where twins misled: a run's own release, beside what its notebook publishes.

It depends on the real tables and the providers' leave alone: nothing of the researcher's code has
run when it is made, so a notebook that fails is explained as well as one that does not.
"""

from __future__ import annotations

from manatee.errors import BudgetError, InputError, SealingError
from manatee.executor._places import Places
from manatee.executor._plan import Job
from manatee.records import TwinReport


def check_noise(job: Job) -> None:
    """Make sure before any key is asked for that privacy noise can be had here, if it is needed.

    Raises:
        BudgetError: The runtime has no OpenDP.
    """
    if job.plan.manifest.twin_report:
        from fractions import Fraction

        from manatee.budgets import noisy_counts

        noisy_counts([0], Fraction(1, 2), sensitivity=1)


def twin_reports(job: Job, places: Places) -> tuple[TwinReport, ...]:
    """Measure every table whose provider allows it, if the job asks for it.

    Raises:
        SealingError: A table cannot be measured as its provider's leave says.
    """
    if not job.plan.manifest.twin_report:
        return ()
    from manatee.comparison import measure

    try:
        return tuple(
            measure(places.table(dataset.name), dataset.name, dataset.comparison)
            for dataset in job.plan.datasets
            if dataset.comparison is not None
        )
    except (BudgetError, InputError) as error:
        raise SealingError("a table cannot be compared with its twin as allowed.") from error
