"""One data provider's key broker: challenge, release, decision log. Runs in the provider's domain.

Trusted core: standard library, `cryptography` and our records only.
"""

from manatee.keybroker._broker import CHALLENGE_SECONDS, BrokerKeys, KeyBroker
from manatee.keybroker._folder import (
    create_broker,
    open_broker,
    read_broker_keys,
    write_policy,
    write_private,
)
from manatee.keybroker._http import asgi_app
from manatee.keybroker._store import BrokerStore, LoggedDecision, chain_digest

__all__ = [
    "CHALLENGE_SECONDS",
    "BrokerKeys",
    "BrokerStore",
    "KeyBroker",
    "LoggedDecision",
    "asgi_app",
    "chain_digest",
    "create_broker",
    "open_broker",
    "read_broker_keys",
    "write_policy",
    "write_private",
]
