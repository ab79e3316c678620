"""Cedar text to trees (Cedar language reference, "Grammar for Cedar policies").

Policies with `?principal` or `?resource` are refused: they allow nothing until somebody links
them, and nobody does. What this reader makes of a text is compared with what the Cedar engine
makes of it (`_cedar_json`), so a difference between the two is refused, never overlooked.
"""

from __future__ import annotations

from typing import Literal

from manatee.policy._expressions import ExpressionReader
from manatee.policy._problems import PolicyProblemError, Span
from manatee.policy._syntax import Condition, Node, Policy, Scope
from manatee.policy._tokens import Kind, decode_text, tokens

MAX_POLICIES = 200
"""Most policies in one text."""


class _Reader(ExpressionReader):
    def policies(self) -> tuple[Policy, ...]:
        found: list[Policy] = []
        while self.peek.kind is not Kind.END:
            if len(found) == MAX_POLICIES:
                raise PolicyProblemError(self.peek.span, f"more than {MAX_POLICIES} policies.")
            found.append(self._policy(len(found)))
        return tuple(found)

    def _policy(self, number: int) -> Policy:
        start = self.peek.span.start
        annotations = self._annotations()
        word = self.name("permit or forbid")
        effect: Literal["permit", "forbid"]
        if word.value == "permit":
            effect = "permit"
        elif word.value == "forbid":
            effect = "forbid"
        else:
            raise PolicyProblemError(
                word.span, f"expected permit or forbid, found {word.value}.", self.meant(word.value)
            )
        self.expect("(")
        principal = self._scope("principal")
        self.expect(",")
        action = self._scope("action")
        self.expect(",")
        resource = self._scope("resource")
        self.expect(")")
        conditions = self._conditions()
        end = self.expect(";", hint="A policy ends with a semicolon.")
        return Policy(
            number,
            effect,
            annotations,
            principal,
            action,
            resource,
            conditions,
            Span(start, end.span.end),
            word.span.start,
        )

    def _annotations(self) -> dict[str, str]:
        found: dict[str, str] = {}
        while self.take("@"):
            name = self.name("the annotation's name")
            self.expect("(")
            text = self.next()
            if text.kind is not Kind.TEXT:
                raise PolicyProblemError(text.span, "expected a text between quotes.")
            self.expect(")")
            if name.value in found:
                raise PolicyProblemError(name.span, f"@{name.value} stands twice.")
            found[name.value] = decode_text(text.raw, text.span)
        return found

    def _scope(self, variable: str) -> Scope:
        word = self.name(variable)
        if word.value != variable:
            raise PolicyProblemError(word.span, f"expected {variable}, found {word.value}.")
        start = word.span
        if self.take("=="):
            entity = self._scope_entity()
            return Scope("==", Span(start.start, entity.span.end), (entity,))
        if self.take_word("in"):
            listed = variable == "action" and self.take("[")
            entities = self._scope_list() if listed else (self._scope_entity(),)
            return Scope("in-list" if listed else "in", Span(start.start, self.last_end), entities)
        if variable != "action" and self.take_word("is"):
            entity_type = self.path()
            if self.take_word("in"):
                entity = self._scope_entity()
                return Scope(
                    "is-in", Span(start.start, entity.span.end), (entity,), entity_type.value
                )
            return Scope("is", Span(start.start, entity_type.span.end), (), entity_type.value)
        return Scope("any", start)

    def _scope_entity(self) -> Node:
        if self.peek.value == "?" and self.peek.kind is Kind.SIGN:
            raise PolicyProblemError(
                self.peek.span,
                "policies with a ?slot are not used here.",
                "Name the principal or resource.",
            )
        return self.entity()

    def _scope_list(self) -> tuple[Node, ...]:
        found = [self._scope_entity()]
        while self.take(","):
            found.append(self._scope_entity())
        self.expect("]")
        return tuple(found)

    def _conditions(self) -> tuple[Condition, ...]:
        found: list[Condition] = []
        while True:
            start = self.peek.span.start
            kind: Literal["when", "unless"]
            if self.take_word("when"):
                kind = "when"
            elif self.take_word("unless"):
                kind = "unless"
            else:
                return tuple(found)
            self.expect("{")
            body = self.expression()
            end = self.expect("}")
            found.append(Condition(kind, body, Span(start, end.span.end)))


def parse(text: str) -> tuple[Policy, ...]:
    """Read Cedar text.

    Raises:
        PolicyProblemError: It is not Cedar, or over a limit; with its place.
    """
    return _Reader(tokens(text)).policies()
