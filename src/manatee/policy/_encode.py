"""Cedar expressions as formulas: what they say, and whether they say anything at all.

Cedar's `&&`, `||` and `if` do not look at what they do not need, and a number beyond 64 bits or a
missing attribute is an error. Both are encoded: every term carries the condition under which it
has a value (Cedar language reference, "Operators and functions"). What is not encoded is
outside the subset, and is said to be, with its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from manatee.policy._problems import PolicyProblemError
from manatee.policy._symbols import NUMBERS, SETS, TEXTS, TRUTHS, Symbols
from manatee.policy._syntax import Node, Policy, Scope
from manatee.policy._texts import matches
from manatee.policy._vocabulary import (
    ACTION,
    CHECKS,
    DATASET,
    ORGANISATION,
    RELEASE_KEY,
    RESEARCHER,
    TCB_COMPONENTS,
)

_LEAST, _MOST = -(2**63), 2**63 - 1


_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)Z)?")


@dataclass(frozen=True)
class Term:
    """One encoded expression.

    Attributes:
        sort: `truth`, `number`, `text`, `moment`, `entity`, `set`, `literal-set` or `record`.
        value: A formula; (type, name) of an entity; the name of a set or record of the request;
            the terms of a literal set.
        defined: Formula: whether Cedar gets a value at all.
        literal: The text itself, if it stands in the policy.
    """

    sort: str
    value: Any
    defined: Any
    literal: str | None = None


@dataclass(frozen=True)
class EncodedPolicy:
    """Formulas: the policy applies; and its evaluation fails."""

    applies: Any
    fails: Any


class Encoder:
    """Encodes one side's policies over unknowns both sides share.

    Args:
        symbols: The unknowns.
        side: 0 for the old policies, 1 for the new: whose approver keys count.
    """

    def __init__(self, symbols: Symbols, side: int) -> None:
        self._symbols = symbols
        self._z3 = symbols.z3
        self._side = side

    def allowed(self, policies: tuple[Policy, ...]) -> Any:
        """Return the formula of our decision: a permit, no forbid, and no error anywhere."""
        encoded = [(policy.effect, self.policy(policy)) for policy in policies]
        z3 = self._z3
        return z3.And(
            z3.Or([item.applies for effect, item in encoded if effect == "permit"]),
            z3.Not(z3.Or([item.applies for effect, item in encoded if effect == "forbid"])),
            z3.Not(z3.Or([item.fails for _, item in encoded])),
        )

    def policy(self, policy: Policy) -> EncodedPolicy:
        """Encode one policy: scope, then conditions in order, each only if all before held."""
        z3 = self._z3
        holds = z3.And(
            self._scope(policy.principal, self._principal()),
            self._scope(policy.action, self._action()),
            self._scope(policy.resource, self._resource()),
        )
        fails = z3.BoolVal(False)
        for condition in policy.conditions:
            term = self.term(condition.body, "truth")
            value = term.value if condition.kind == "when" else z3.Not(term.value)
            fails = z3.Or(fails, z3.And(holds, z3.Not(term.defined)))
            holds = z3.And(holds, term.defined, value)
        return EncodedPolicy(holds, fails)

    # --- entities ---

    def _principal(self) -> Term:
        return self._certain("entity", (RESEARCHER, self._symbols.text("principal")))

    def _resource(self) -> Term:
        return self._certain("entity", (DATASET, self._symbols.text("resource")))

    def _action(self) -> Term:
        return self._certain("entity", (ACTION, self._symbols.literal(RELEASE_KEY)))

    def _scope(self, scope: Scope, subject: Term) -> Any:
        z3 = self._z3
        typed = z3.BoolVal(scope.entity_type == subject.value[0])
        named = [self.term(entity, "entity") for entity in scope.entities]
        match scope.op:
            case "any":
                return z3.BoolVal(True)
            case "==":
                return self._equal_entities(subject, named[0])
            case "is":
                return typed
            case "is-in":
                return z3.And(typed, self._within(subject, named[0]))
        return z3.Or([self._within(subject, entity) for entity in named])

    def _equal_entities(self, left: Term, right: Term) -> Any:
        if left.value[0] != right.value[0]:
            return self._z3.BoolVal(False)
        return left.value[1] == right.value[1]

    def _within(self, left: Term, right: Term) -> Any:
        """Encode `left in right`: only the asking researcher has a parent, its organisation."""
        z3 = self._z3
        if (left.value[0], right.value[0]) == (RESEARCHER, ORGANISATION):
            return z3.And(
                left.value[1] == self._symbols.text("principal"),
                self._symbols.truth("has organisation"),
                self._symbols.text("organisation") == right.value[1],
            )
        return self._equal_entities(left, right)

    # --- expressions ---

    def _certain(self, sort: str, value: Any) -> Term:
        return Term(sort, value, self._z3.BoolVal(True))

    def _outside(self, node: Node, why: str) -> PolicyProblemError:
        return PolicyProblemError(node.span, f"{why} is outside what can be compared.")

    def term(self, node: Node, *sorts: str) -> Term:
        """Encode an expression that must be of one of these sorts (any, if none is named).

        Raises:
            PolicyProblemError: It, or a part of it, is outside the subset.
        """
        term = self._term(node)
        if sorts and term.sort not in sorts:
            raise self._outside(node, "this kind of value here")
        return term

    def _term(self, node: Node) -> Term:
        z3 = self._z3
        match node.op:
            case "value":
                return self._value(node)
            case "entity":
                return self._certain(
                    "entity", (node.value[0], self._symbols.literal(node.value[1]))
                )
            case "variable":
                return self._variable(node)
            case "attribute":
                return self._attribute(node)
            case "has":
                return self._has(node)
            case "set":
                items = tuple(self.term(part, "text", "number", "entity") for part in node.args)
                defined = z3.And([item.defined for item in items])
                return Term("literal-set", items, defined)
            case "if":
                return self._choice(node)
            case "!":
                inner = self.term(node.args[0], "truth")
                return Term("truth", z3.Not(inner.value), inner.defined)
            case "&&" | "||":
                return self._both(node)
            case "==" | "!=":
                return self._equality(node)
            case "<" | "<=" | ">" | ">=":
                return self._order(node)
            case "+" | "-" | "neg" | "*":
                return self._arithmetic(node)
            case "in":
                return self._membership(node)
            case "is":
                return self._is(node)
            case "like":
                return self._like(node)
            case "call":
                return self._call(node)
        raise self._outside(node, f"`{node.op}`")

    def _value(self, node: Node) -> Term:
        if isinstance(node.value, bool):
            return self._certain("truth", self._z3.BoolVal(node.value))
        if isinstance(node.value, int):
            return self._certain("number", self._z3.IntVal(node.value))
        yes = self._z3.BoolVal(True)
        return Term("text", self._symbols.literal(node.value), yes, literal=node.value)

    def _variable(self, node: Node) -> Term:
        match node.value:
            case "principal":
                return self._principal()
            case "resource":
                return self._resource()
            case "action":
                return self._action()
        return self._certain("record", "context")

    def _attribute(self, node: Node) -> Term:
        base, name, symbols = node.args[0], str(node.value), self._symbols
        if base.op == "variable" and base.value == "principal":
            if name == "name":
                return self._certain("text", symbols.text("principal"))
            if name == "organisation":
                known = symbols.truth("has organisation")
                return Term("text", symbols.text("organisation"), known)
        if base.op == "variable" and base.value == "resource":
            if name == "name":
                return self._certain("text", symbols.text("resource"))
            if name in {"provider", "version", "label"}:
                return self._certain("text", symbols.text(name))
        if base.op == "variable" and base.value == "context":
            return self._context(node, name)
        if base.op == "attribute":
            record = self._term(base)
            if record.value == "tcb" and name in TCB_COMPONENTS:
                return self._certain("number", symbols.component(name))
            if record.value == "approvals" and record.sort == "record":
                return self._certain("number", symbols.approvals(name, self._side))
        raise self._outside(node, "this attribute")

    def _context(self, node: Node, name: str) -> Term:
        symbols = self._symbols
        if name in TEXTS:
            return self._certain("text", symbols.text(name))
        if name in NUMBERS:
            return self._certain("number", symbols.number(name))
        if name in TRUTHS:
            return self._certain("truth", symbols.truth(name))
        if name in SETS:
            return self._certain("set", name)
        if name == "at":
            return self._certain("moment", symbols.moment())
        if name in {"tcb", "approvals"}:
            return self._certain("record", name)
        raise self._outside(node, "this attribute")

    def _has(self, node: Node) -> Term:
        base, name = node.args[0], node.value
        if base.op == "variable" and base.value == "principal" and name == "organisation":
            return self._certain("truth", self._symbols.truth("has organisation"))
        known = {
            "principal": ("name",),
            "resource": ("provider", "name", "version", "label"),
            "context": tuple(CHECKS),
        }
        if base.op == "variable" and base.value in known:
            return self._certain("truth", self._z3.BoolVal(name in known[base.value]))
        raise self._outside(node, "`has` on this")

    def _choice(self, node: Node) -> Term:
        z3 = self._z3
        test = self.term(node.args[0], "truth")
        sorts = ("truth", "number", "text", "moment")
        then, other = (self.term(part, *sorts) for part in node.args[1:])
        if then.sort != other.sort:
            raise self._outside(node, "a choice between different kinds of value")
        defined = z3.And(test.defined, z3.If(test.value, then.defined, other.defined))
        return Term(then.sort, z3.If(test.value, then.value, other.value), defined)

    def _both(self, node: Node) -> Term:
        z3 = self._z3
        left, right = (self.term(part, "truth") for part in node.args)
        if node.op == "&&":
            needed, value = left.value, z3.And(left.value, right.value)
        else:
            needed, value = z3.Not(left.value), z3.Or(left.value, right.value)
        return Term("truth", value, z3.And(left.defined, z3.Implies(needed, right.defined)))

    def _equality(self, node: Node) -> Term:
        z3 = self._z3
        left, right = (self.term(part) for part in node.args)
        value = self._equal(node, left, right)
        if node.op == "!=":
            value = z3.Not(value)
        return Term("truth", value, z3.And(left.defined, right.defined))

    def _equal(self, node: Node, left: Term, right: Term) -> Any:
        if left.sort == right.sort == "entity":
            return self._equal_entities(left, right)
        if {left.sort, right.sort} == {"set", "literal-set"}:
            of_request, literal = (left, right) if left.sort == "set" else (right, left)
            return self._z3.And(
                self._holds_all(node, of_request, literal),
                self._is_within(node, of_request, literal),
            )
        if left.sort == right.sort and left.sort in {"truth", "number", "text", "moment"}:
            return left.value == right.value
        raise self._outside(node, "a comparison of these")

    def _order(self, node: Node) -> Term:
        z3 = self._z3
        left, right = (self.term(part, "number", "moment") for part in node.args)
        if left.sort != right.sort:
            raise self._outside(node, "a comparison of these")
        value = {
            "<": left.value < right.value,
            "<=": left.value <= right.value,
            ">": left.value > right.value,
            ">=": left.value >= right.value,
        }[node.op]
        return Term("truth", value, z3.And(left.defined, right.defined))

    def _arithmetic(self, node: Node) -> Term:
        z3 = self._z3
        parts = [self.term(part, "number") for part in node.args]
        if node.op == "*" and not any(part.op == "value" for part in node.args):
            raise self._outside(node, "a product of two unknowns")
        values = [part.value for part in parts]
        value = {
            "+": lambda: values[0] + values[1],
            "-": lambda: values[0] - values[1],
            "*": lambda: values[0] * values[1],
            "neg": lambda: -values[0],
        }[node.op]()
        fits = z3.And(value >= _LEAST, value <= _MOST)
        return Term("number", value, z3.And(*[part.defined for part in parts], fits))

    def _membership(self, node: Node) -> Term:
        z3 = self._z3
        left, right = self.term(node.args[0], "entity"), self.term(node.args[1])
        if right.sort == "entity":
            value = self._within(left, right)
        elif right.sort == "literal-set" and all(item.sort == "entity" for item in right.value):
            value = z3.Or([self._within(left, item) for item in right.value])
        else:
            raise self._outside(node, "`in` with this")
        return Term("truth", value, z3.And(left.defined, right.defined))

    def _is(self, node: Node) -> Term:
        z3 = self._z3
        left = self.term(node.args[0], "entity")
        typed = left.value[0] == node.value
        if len(node.args) == 1:
            return Term("truth", z3.BoolVal(typed), left.defined)
        within = self.term(node.args[1], "entity")
        if not typed:
            return Term("truth", z3.BoolVal(False), left.defined)
        defined = z3.And(left.defined, within.defined)
        return Term("truth", self._within(left, within), defined)

    def _like(self, node: Node) -> Term:
        left = self.term(node.args[0], "text")
        value = self._symbols.among(left.value, lambda text: matches(node.value, text))
        return Term("truth", value, left.defined)

    # --- sets ---

    def _call(self, node: Node) -> Term:
        z3 = self._z3
        if node.value == "datetime":
            return self._moment(node)
        if node.value == ".isEmpty" and len(node.args) == 1:
            group = self.term(node.args[0], "set", "literal-set")
            if group.sort == "literal-set":
                return Term("truth", z3.BoolVal(not group.value), group.defined)
            nothing = Term("literal-set", (), z3.BoolVal(True))
            return Term("truth", self._is_within(node, group, nothing), group.defined)
        if len(node.args) != 2 or node.value not in {".contains", ".containsAll", ".containsAny"}:
            raise self._outside(node, f"`{node.value.removeprefix('.')}`")
        group, right = (self.term(part) for part in node.args)
        if node.value == ".contains":
            right = Term("literal-set", (right,), right.defined)
        sorts = (group.sort, right.sort)
        if sorts == ("literal-set", "literal-set"):
            value = self._literal_sets(node, group, right)
        elif sorts == ("set", "literal-set"):
            every = node.value != ".containsAny"
            value = (self._holds_all if every else self._holds_any)(node, group, right)
        elif sorts == ("literal-set", "set") and node.value == ".containsAll":
            value = self._is_within(node, right, group)
        elif sorts == ("literal-set", "set") and node.value == ".containsAny":
            value = self._holds_any(node, right, group)
        else:
            raise self._outside(node, "a question about these sets")
        return Term("truth", value, z3.And(group.defined, right.defined))

    def _moment(self, node: Node) -> Term:
        argument = node.args[0].value if len(node.args) == 1 else None
        found = _MOMENT.fullmatch(argument) if isinstance(argument, str) else None
        if found is None:
            raise self._outside(node, "a datetime of this form")
        moment = datetime.fromisoformat(f"{found[1]}T{found[2] or '00:00:00'}+00:00")
        return self._certain("moment", self._z3.IntVal(int(moment.timestamp()) * 1000))

    def _literal_sets(self, node: Node, left: Term, right: Term) -> Any:
        z3 = self._z3
        held = [
            z3.Or([self._equal(node, item, wanted) for item in left.value])
            for wanted in right.value
        ]
        return z3.Or(held) if node.value == ".containsAny" else z3.And(held)

    def _members(self, node: Node, literal: Term) -> list[str]:
        """Return the texts of a literal set; anything else in it is outside."""
        found: list[str] = []
        place = node.args[1] if len(node.args) > 1 else node
        for item in literal.value:
            if item.literal is None:
                raise self._outside(place, "a set of the request asked about anything but a text")
            found.append(item.literal)
        return found

    def _holds_all(self, node: Node, group: Term, literal: Term) -> Any:
        holds = self._symbols.holds
        return self._z3.And([holds(group.value, text) for text in self._members(node, literal)])

    def _holds_any(self, node: Node, group: Term, literal: Term) -> Any:
        holds = self._symbols.holds
        return self._z3.Or([holds(group.value, text) for text in self._members(node, literal)])

    def _is_within(self, node: Node, group: Term, literal: Term) -> Any:
        """Encode that a set of the request holds nothing but these texts."""
        listed = set(self._members(node, literal))
        known = self._symbols.members[group.value]
        rest = [text for text in known if text not in listed]
        holds = self._symbols.holds
        others = [holds(group.value, text) for text in rest] + [holds(group.value, None)]
        return self._z3.Not(self._z3.Or(others))
