"""The output policy a provider starts from."""

from manatee.records import OutputPolicy

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
