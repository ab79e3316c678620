"""Policy documents, and the Cedar text in them."""

from collections.abc import Iterator

from manatee.errors import MalformedError
from manatee.policy import (
    PolicyDocument,
    TemplateParameters,
    compile_document,
    compile_policies,
    find_problems,
    named_organisations,
    render_template,
)
from manatee.records import canonical_json, read_record

JOB = TemplateParameters(
    project="charges",
    researchers=("ada", "bob"),
    runtimes=("sha256:" + "1" * 64,),
    output_policies=("sha256:" + "2" * 64,),
    approvals={"hospital": 1},
)
EVERYTHING = """permit (principal, action, resource) when {
  context.tier == "hardware" && context.approvals["hospital"] >= 1
  && context.platform like "M*n" && !(context.advisories.contains("A-1"))
  && [1, 2].contains(context.vmpl) && context.at < datetime("2027-01-01T00:00:00Z")
} unless { context has vmpl && context.vmpl > 0 || if true then 1 == -1 else false };
"""
TEXTS = (
    render_template("named-researchers", JOB),
    render_template("one-run-per-approval", JOB),
    EVERYTHING,
    "permit (principal, action, resource);",
    'forbid (principal in Team::"x", action in [Action::"release"], resource is Dataset);',
    "// nothing\n",
    'permit (principal, action, resource) when { if true then 1 == -1 else "\\u{e9}" == "\\*" };',
)


def document(text: str) -> bytes:
    return canonical_json(
        PolicyDocument(
            provider="hospital",
            version=1,
            valid_from="2026-01-01T00:00:00Z",
            valid_until="2027-01-01T00:00:00Z",
            approver_keys={"hospital": ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",)},
            cedar=text,
        )
    )


def seeds() -> Iterator[bytes]:
    for text in TEXTS:
        yield b"\x00" + text.encode()
        yield b"\x01" + document(text)


def one(data: bytes) -> None:
    kind, rest = data[:1], data[1:]
    if kind == b"\x01":
        compile_document(read_record(rest, PolicyDocument, what="policy"))
        return
    try:
        text = rest.decode()
    except UnicodeDecodeError:
        raise MalformedError("a policy is text.") from None
    named_organisations(text)
    problems = find_problems(text, ("hospital",))
    if not problems:
        compile_policies(text, ("hospital",))
