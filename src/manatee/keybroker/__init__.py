"""One data provider's key broker: challenge, release, decision log. Runs in the provider's domain.

Trusted core: standard library, `cryptography` and our records only; OpenDP where a
privacy budget is kept.
"""

from manatee.keybroker._broker import CHALLENGE_SECONDS, BrokerKeys, KeyBroker
from manatee.keybroker._budget import Budget, NoBudget
from manatee.keybroker._budget_file import use_ledger
from manatee.keybroker._decision_log import DecisionLog
from manatee.keybroker._folder import (
    create_broker,
    decision_log_signer,
    open_broker,
    read_broker_keys,
    trust_policy_key,
    write_private,
)
from manatee.keybroker._http import asgi_app
from manatee.keybroker._ledger_budget import LedgerBudget
from manatee.keybroker._rules import Rules, fixed_rules, install_policy, write_policy
from manatee.keybroker._store import BrokerStore, LoggedDecision, chain_digest

__all__ = [
    "CHALLENGE_SECONDS",
    "BrokerKeys",
    "BrokerStore",
    "Budget",
    "DecisionLog",
    "KeyBroker",
    "LedgerBudget",
    "LoggedDecision",
    "NoBudget",
    "Rules",
    "asgi_app",
    "chain_digest",
    "create_broker",
    "decision_log_signer",
    "fixed_rules",
    "install_policy",
    "open_broker",
    "read_broker_keys",
    "trust_policy_key",
    "use_ledger",
    "write_policy",
    "write_private",
]
