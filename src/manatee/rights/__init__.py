"""Who may do what: one table, and the function that reads it. No I/O."""

from manatee.rights._matrix import MATRIX, Action, Standing, Verdict, decide
from manatee.rights._page import rights_page
from manatee.rights._scopes import ALL_SCOPES, SCOPE_OF, in_scope

__all__ = [
    "ALL_SCOPES",
    "MATRIX",
    "SCOPE_OF",
    "Action",
    "Standing",
    "Verdict",
    "decide",
    "in_scope",
    "rights_page",
]
