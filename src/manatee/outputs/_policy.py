"""The output policy a provider starts from."""

import msgspec

from manatee.records import OutputPolicy, check_output_policy

DEFAULT_POLICY = OutputPolicy(
    name="standard",
    max_total_bytes=8 << 20,
    max_files=32,
    max_cell_text_characters=20_000,
    allowed_mime_types=("text/plain", "image/png", "application/json"),
    allowed_file_types=(".csv", ".json", ".md", ".png", ".txt"),
    row_match_margin_bits=10,
    release="automatic",
)
"""Text, PNG and JSON may leave, at once, when all checks pass. HTML may not: it is active, and a
table's HTML repeats its text (`drop_html` removes it where the text is there)."""


def output_policy(reviewers: tuple[str, ...]) -> OutputPolicy:
    """Return the default rules, with people who decide if there are any.

    Args:
        reviewers: age recipients of the output reviewers; none: checked outputs leave at once.

    Raises:
        ManifestError: Not recipients, or one twice.
    """
    if not reviewers:
        return DEFAULT_POLICY
    policy = msgspec.structs.replace(
        DEFAULT_POLICY, name="reviewed", release="reviewer", reviewers=reviewers
    )
    check_output_policy(policy)
    return policy
