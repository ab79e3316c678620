"""Cedar expressions to trees, by recursive descent; brackets and depth are bounded."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches

from manatee.policy._problems import PolicyProblemError, Span
from manatee.policy._syntax import WILDCARD, Node
from manatee.policy._tokens import Kind, Token, decode_text

MAX_DEPTH = 100
"""Deepest tree of an expression: a hundred operators in one chain, or nested as deep."""

MAX_NESTED = 40
"""Deepest nesting of brackets, conditions and branches."""

MAX_LONG = 2**63 - 1

_RELATIONS = ("==", "!=", "<", "<=", ">", ">=")
_VARIABLES = ("principal", "action", "resource", "context")
_WORDS = ("true", "false", "if", "then", "else", "in", "is", "like", "has", "__cedar")
_KNOWN = ("permit", "forbid", "when", "unless", *_VARIABLES, *_WORDS[:-1])


class ExpressionReader:
    """Reads tokens from left to right."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self._tokens = tokens
        self._at = 0
        self._nested = 0

    # --- tokens ---

    @property
    def peek(self) -> Token:
        """The next token, not taken."""
        return self._tokens[self._at]

    @property
    def last_end(self) -> int:
        """Where the last taken token ends."""
        return self._tokens[self._at - 1].span.end

    def next(self) -> Token:
        """Take a token; END is never passed."""
        token = self.peek
        if token.kind is not Kind.END:
            self._at += 1
        return token

    def take(self, sign: str) -> bool:
        """Take a sign if it is next."""
        if self.peek.kind is Kind.SIGN and self.peek.value == sign:
            self._at += 1
            return True
        return False

    def take_word(self, word: str) -> bool:
        """Take a word if it is next."""
        if self.peek.kind is Kind.NAME and self.peek.value == word:
            self._at += 1
            return True
        return False

    def expect(self, sign: str, *, hint: str = "") -> Token:
        """Take a sign that must be next."""
        token = self.next()
        if token.kind is not Kind.SIGN or token.value != sign:
            said = self.meant(token.value) if token.kind is Kind.NAME else ""
            raise PolicyProblemError(
                token.span, f"expected {sign} but found {_found(token)}.", said or hint
            )
        return token

    def name(self, what: str) -> Token:
        """Take a word."""
        token = self.next()
        if token.kind is not Kind.NAME:
            raise PolicyProblemError(token.span, f"expected {what} but found {_found(token)}.")
        return token

    @staticmethod
    def meant(word: str) -> str:
        """Return a hint if a known word is close."""
        close = get_close_matches(word, _KNOWN, n=1)
        return f"Did you mean {close[0]}?" if close and close[0] != word else ""

    @staticmethod
    def _node(op: str, span: Span, args: tuple[Node, ...] = (), value: object = None) -> Node:
        depth = 1 + max((part.depth for part in args), default=0)
        if depth > MAX_DEPTH:
            raise PolicyProblemError(
                span,
                f"this expression is more than {MAX_DEPTH} operators deep.",
                "Write several `when` conditions, or a set with .contains(…).",
            )
        return Node(op, span, args, value, depth)

    def _binary(self, op: str, left: Node, right: Node) -> Node:
        return self._node(op, Span(left.span.start, right.span.end), (left, right))

    # --- grammar, loosest first ---

    def expression(self) -> Node:
        """Read an expression: `if` or a disjunction."""
        self._nested += 1
        if self._nested > MAX_NESTED:
            raise PolicyProblemError(
                self.peek.span, f"expressions are nested deeper than {MAX_NESTED}."
            )
        node = self._choice()
        self._nested -= 1
        return node

    def _choice(self) -> Node:
        start = self.peek.span
        # a chain of `else if` is read without recursion
        tests: list[tuple[Node, Node]] = []
        starts: list[int] = []
        while self.take_word("if"):
            starts.append(start.start)
            test = self.expression()
            self._expect_word("then")
            then = self.expression()
            self._expect_word("else")
            tests.append((test, then))
            start = self.peek.span
        node = self._disjunction()
        for begin, (test, then) in zip(reversed(starts), reversed(tests), strict=True):
            node = self._node("if", Span(begin, node.span.end), (test, then, node))
        return node

    def _expect_word(self, word: str) -> None:
        token = self.next()
        if token.kind is not Kind.NAME or token.value != word:
            raise PolicyProblemError(token.span, f"expected {word} here.", self.meant(token.value))

    def _disjunction(self) -> Node:
        node = self._conjunction()
        while self.take("||"):
            node = self._binary("||", node, self._conjunction())
        return node

    def _conjunction(self) -> Node:
        node = self._relation()
        while self.take("&&"):
            node = self._binary("&&", node, self._relation())
        return node

    def _relation(self) -> Node:
        left = self._sum()
        token = self.peek
        if token.kind is Kind.SIGN and token.value in _RELATIONS:
            self.next()
            return self._binary(token.value, left, self._sum())
        if self.take_word("in"):
            return self._binary("in", left, self._sum())
        if self.take_word("has"):
            attribute = self._attribute_name()
            return self._node("has", Span(left.span.start, self.last_end), (left,), attribute)
        if self.take_word("like"):
            text = self.next()
            if text.kind is not Kind.TEXT:
                raise PolicyProblemError(text.span, "expected a pattern between quotes.")
            return self._node("like", Span(left.span.start, text.span.end), (left,), _pattern(text))
        if self.take_word("is"):
            entity_type = self.path()
            args: tuple[Node, ...] = (left,)
            if self.take_word("in"):
                args = (left, self._sum())
            return self._node("is", Span(left.span.start, self.last_end), args, entity_type.value)
        return left

    def _attribute_name(self) -> str:
        token = self.next()
        if token.kind is Kind.TEXT:
            return decode_text(token.raw, token.span)
        if token.kind is Kind.NAME and token.value not in _WORDS:
            return token.value
        raise PolicyProblemError(token.span, "expected the name of an attribute.")

    def _sum(self) -> Node:
        node = self._product()
        while self.peek.kind is Kind.SIGN and self.peek.value in "+-":
            op = self.next().value
            node = self._binary(op, node, self._product())
        return node

    def _product(self) -> Node:
        node = self._unary()
        while self.take("*"):
            node = self._binary("*", node, self._unary())
        return node

    def _unary(self) -> Node:
        signs: list[Token] = []
        while self.peek.kind is Kind.SIGN and self.peek.value in "!-":
            signs.append(self.next())
            if len(signs) > 4 or signs[0].value != signs[-1].value:
                raise PolicyProblemError(signs[-1].span, "too many signs before a value.")
        if signs and signs[-1].value == "-" and self.peek.kind is Kind.NUMBER:
            # Cedar reads the sign nearest a number as part of the number
            node = self._number(negative=signs.pop())
            node = self._accesses(node)
        else:
            node = self._member()
        for sign in reversed(signs):
            op = "!" if sign.value == "!" else "neg"
            node = self._node(op, Span(sign.span.start, node.span.end), (node,))
        return node

    def _number(self, negative: Token | None = None) -> Node:
        token = self.next()
        start = token.span.start if negative is None else negative.span.start
        if len(token.value) > 19 or int(token.value) > MAX_LONG + (negative is not None):
            raise PolicyProblemError(token.span, "a number is at most 2**63-1 in Cedar.")
        value = int(token.value)
        return self._node(
            "value", Span(start, token.span.end), (), -value if negative is not None else value
        )

    def _member(self) -> Node:
        return self._accesses(self._primary())

    def _accesses(self, node: Node) -> Node:
        while True:
            if self.take("."):
                token = self.name("the name of an attribute")
                start = node.span.start
                if self.take("("):
                    given = self._list(")")
                    node = self._node(
                        "call", Span(start, self.last_end), (node, *given), "." + token.value
                    )
                elif token.value in _WORDS:
                    raise PolicyProblemError(token.span, f"{token.value} is a word of Cedar.")
                else:
                    node = self._node("attribute", Span(start, self.last_end), (node,), token.value)
            elif self.take("["):
                token = self.next()
                if token.kind is not Kind.TEXT:
                    raise PolicyProblemError(token.span, "expected a name between quotes.")
                name = decode_text(token.raw, token.span)
                self.expect("]")
                node = self._node("attribute", Span(node.span.start, self.last_end), (node,), name)
            else:
                return node

    def _primary(self) -> Node:
        token = self.peek
        if token.kind is Kind.NUMBER:
            return self._number()
        if token.kind is Kind.TEXT:
            self.next()
            return self._node("value", token.span, (), decode_text(token.raw, token.span))
        if self.take("("):
            inner = self.expression()
            self.expect(")")
            return replace(inner, span=Span(token.span.start, self.last_end))
        if self.take("["):
            items = self._list("]")
            return self._node("set", Span(token.span.start, self.last_end), items)
        if self.take("{"):
            return self._record(token)
        if token.kind is Kind.NAME:
            return self._word()
        raise PolicyProblemError(token.span, f"expected a value but found {_found(token)}.")

    def _word(self) -> Node:
        token = self.peek
        following = self._tokens[self._at + 1]
        if following.value == "::" and following.kind is Kind.SIGN:
            return self.entity()
        self.next()
        if token.value in {"true", "false"}:
            return self._node("value", token.span, (), token.value == "true")
        if token.value in _VARIABLES:
            return self._node("variable", token.span, (), token.value)
        if token.value not in _WORDS and self.take("("):
            given = self._list(")")
            return self._node("call", Span(token.span.start, self.last_end), given, token.value)
        raise PolicyProblemError(
            token.span,
            f"{token.value} stands for nothing here.",
            self.meant(token.value) or "A text needs quotes; an attribute begins with context.",
        )

    def _list(self, closing: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self.take(closing):
            found.append(self.expression())
            if not self.take(","):
                self.expect(closing)
                break
        return tuple(found)

    def _record(self, opened: Token) -> Node:
        keys: list[str] = []
        values: list[Node] = []
        while not self.take("}"):
            if keys:
                self.expect(",")
            key = self._attribute_name()
            if key in keys:
                raise PolicyProblemError(self.peek.span, f"the record holds {key} twice.")
            keys.append(key)
            self.expect(":")
            values.append(self.expression())
        span = Span(opened.span.start, self.last_end)
        return self._node("record", span, tuple(values), tuple(keys))

    def path(self) -> Node:
        """Read the name of an entity type, as a node of op `path`."""
        token = self.name("an entity type")
        parts = [token.value]
        while self.peek.value == "::" and self._tokens[self._at + 1].kind is Kind.NAME:
            self.next()
            parts.append(self.next().value)
        for part in parts:
            if part in _WORDS:
                raise PolicyProblemError(token.span, f"{part} is a word of Cedar.")
        return Node("path", Span(token.span.start, self.last_end), (), "::".join(parts))

    def entity(self) -> Node:
        """Read an entity such as `ManaTEE::Researcher::"ada"`."""
        path = self.path()
        self.expect("::")
        text = self.next()
        if text.kind is not Kind.TEXT:
            raise PolicyProblemError(text.span, "expected the entity's name between quotes.")
        return self._node(
            "entity",
            Span(path.span.start, text.span.end),
            (),
            (path.value, decode_text(text.raw, text.span)),
        )


def _found(token: Token) -> str:
    return "the end of the text" if token.kind is Kind.END else token.value[:60]


def _pattern(token: Token) -> tuple[str | None, ...]:
    """Return a pattern's texts and wildcards, in order."""
    found: list[str | None] = []
    raw = token.raw
    start = index = 0
    while index <= len(raw):
        if index < len(raw) and raw[index] == "\\":
            index += 2
        elif index == len(raw) or raw[index] == "*":
            text = decode_text(raw[start:index], token.span, pattern=True).replace("\\*", "*")
            if text:
                found.append(text)
            if index < len(raw):
                found.append(WILDCARD)
            index += 1
            start = index
        else:
            index += 1
    return tuple(found)
