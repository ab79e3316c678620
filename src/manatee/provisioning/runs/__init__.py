"""A provisioning run: private tables in, a twin with its statement and reports out."""

from __future__ import annotations

from manatee.provisioning.runs._dress import check_dress, check_schema
from manatee.provisioning.runs._fixed_noise import insecure_fixed
from manatee.provisioning.runs._order import Order, make_order, read_order
from manatee.provisioning.runs._private import Where, rows_and_digest
from manatee.provisioning.runs._run import Desk, Outcome, provision, read_statement
from manatee.provisioning.runs._secret import data_digest, derived, provider_secret, unbound
from manatee.provisioning.runs._simple_order import synthesis_order
from manatee.provisioning.runs._statement import PrivacyStatement, in_words

__all__ = [
    "Desk",
    "Order",
    "Outcome",
    "PrivacyStatement",
    "Where",
    "check_dress",
    "check_schema",
    "data_digest",
    "derived",
    "in_words",
    "insecure_fixed",
    "make_order",
    "provider_secret",
    "provision",
    "read_order",
    "read_statement",
    "rows_and_digest",
    "synthesis_order",
    "unbound",
]
