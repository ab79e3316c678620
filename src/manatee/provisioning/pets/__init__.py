"""Privacy technologies beside synthesis, each chosen per table or column.

What each guarantees, and what not, is in `docs/explanation/privacy-technologies.md`.
"""

from __future__ import annotations

from manatee.provisioning.pets._categories import Randomise, better_by_rule
from manatee.provisioning.pets._ceremony import accept, begin, provider_of, share
from manatee.provisioning.pets._dummy import MAX_DUMMY_ROWS, dummy_tables
from manatee.provisioning.pets._estimators import debias_frequencies, debias_mean
from manatee.provisioning.pets._exact import MAX_EPSILON, MIN_EPSILON
from manatee.provisioning.pets._generalise import Generalise
from manatee.provisioning.pets._interface import Context, Running, Treatment, TreatmentRecord
from manatee.provisioning.pets._numbers import RandomiseNumber
from manatee.provisioning.pets._plain import Keep, Suppress
from manatee.provisioning.pets._project_keys import (
    ProjectKey,
    SharedKey,
    project_key,
    read_shared_key,
)
from manatee.provisioning.pets._promise import (
    RowPlan,
    RowPromise,
    promise_of_all,
    row_promise,
    shares,
)
from manatee.provisioning.pets._protect import Diversity, Protect
from manatee.provisioning.pets._pseudonyms import Pseudonym
from manatee.provisioning.pets._rows import RowStatement, RowTwin
from manatee.provisioning.pets._shuffle import shuffled

__all__ = [
    "MAX_DUMMY_ROWS",
    "MAX_EPSILON",
    "MIN_EPSILON",
    "Context",
    "Diversity",
    "Generalise",
    "Keep",
    "ProjectKey",
    "Protect",
    "Pseudonym",
    "Randomise",
    "RandomiseNumber",
    "RowPlan",
    "RowPromise",
    "RowStatement",
    "RowTwin",
    "Running",
    "SharedKey",
    "Suppress",
    "Treatment",
    "TreatmentRecord",
    "accept",
    "begin",
    "better_by_rule",
    "debias_frequencies",
    "debias_mean",
    "dummy_tables",
    "project_key",
    "promise_of_all",
    "provider_of",
    "read_shared_key",
    "row_promise",
    "share",
    "shares",
    "shuffled",
]
