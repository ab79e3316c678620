"""The order for a contract whose every table is synthesised: what the demo asks for."""

from __future__ import annotations

from manatee.contracts import parse_contract
from manatee.provisioning.runs._order import Order, make_order


def synthesis_order(
    contract_text: bytes, *, epsilon: float, delta: float, mechanism: str = "mst"
) -> Order:
    """Return an order to synthesise every table of a contract.

    Raises:
        ContractError: The contract is none, or the budget means nothing.
    """
    contract = parse_contract(contract_text)
    lines = [
        "format: manatee-provisioning-spec/1",
        f"contract: {contract.name}",
        f"budget: {{epsilon: {_plain(epsilon)}, delta: {_plain(delta)}}}",
        "tables:",
        *(
            f"  {table.name}: {{synthesis: {{mechanism: {mechanism}}}}}"
            for table in contract.tables
        ),
    ]
    return make_order(contract_text, "\n".join([*lines, ""]).encode())


def _plain(number: float) -> str:
    """Return a number without an exponent, as the specification's reader wants it."""
    return f"{number:.15f}".rstrip("0").rstrip(".")
