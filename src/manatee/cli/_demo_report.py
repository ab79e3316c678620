"""The demo's report: one self-contained HTML page with both figures side by side."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import Any

from manatee.attestation import Mark
from manatee.cli._demo import DemoOutcome, figures
from manatee.cli._verify import headline
from manatee.records import OutputFile

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--good:#1a7f37;--bad:#cf222e;--warn:#9a6700}
@media (prefers-color-scheme:dark){:root{--good:#4ac26b;--bad:#ff8182;--warn:#e3b341}}
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(18rem,1fr));gap:1.5rem}
figure{margin:0}img{max-width:100%;background:#fff;border-radius:6px}
table{border-collapse:collapse;width:100%}td,th{padding:.3rem .6rem;text-align:left;
border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
.good{color:var(--good)}.bad{color:var(--bad)}.off{opacity:.7}
.banner{border:2px solid var(--warn);border-radius:6px;padding:.6rem 1rem;font-weight:600}
td.who{white-space:nowrap}td.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
"""

_CLASSES = {Mark.PASSED: "good", Mark.FAILED: "bad", Mark.NOT_APPLICABLE: "off"}
_VERDICTS = {"misled": "bad", "agrees": "good", "cannot tell": "off"}
_SIGNS = {Mark.PASSED: "✓", Mark.FAILED: "✗", Mark.NOT_APPLICABLE: "–"}


def _picture(files: tuple[OutputFile, ...], caption: str, alternative: str) -> str:
    for file in files:
        if file.path == "figure.png":
            data = base64.b64encode(file.data).decode()
            return (
                f'<figure><img alt="{escape(alternative)}" src="data:image/png;base64,{data}">'
                f"<figcaption>{escape(caption)}</figcaption></figure>"
            )
    return f"<p>No figure: {escape(caption)}</p>"


def _number(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) and abs(value) >= 10 else str(value)


def _comparison(outcome: DemoOutcome) -> str:
    twin, real = figures(outcome.rehearsal.files), figures(outcome.outputs)
    rows = "".join(
        f"<tr><th scope=row>{escape(name)}</th>"
        f"<td class=number>{escape(_number(twin.get(name, '–')))}</td>"
        f"<td class=number>{escape(_number(real.get(name, '–')))}</td></tr>"
        for name in sorted(twin.keys() | real.keys())
    )
    return (
        "<table><thead><tr><th>Figure</th><th>On the twin</th><th>On the private table</th>"
        f"</tr></thead><tbody>{rows}</tbody></table>"
    )


def _misled(outcome: DemoOutcome) -> str:
    rows = "".join(
        f"<tr><td class={_VERDICTS[item.verdict]}>{escape(item.verdict)}</td>"
        f"<td>{escape(item.what)}</td><th scope=row>{escape(item.where)}</th>"
        f"<td class=number>{escape(item.twin)}</td><td class=number>{escape(item.real)}</td></tr>"
        for report in outcome.misled
        for item in report.findings
        if item.what != "type" or item.verdict == "misled"
    )
    return (
        "<p>Shares of rows: the twin's, and an interval in which the private table's lies; all "
        "intervals hold together with 95% confidence. Measured inside the guest, with noise, out "
        "of the provider's privacy budget.</p><table><thead><tr><th>Verdict</th><th>What</th>"
        f"<th>Where</th><th>Twin</th><th>Private table</th></tr></thead><tbody>{rows}</tbody>"
        "</table>"
    )


def render_report(outcome: DemoOutcome) -> str:
    """Return the page. It loads nothing: styles and pictures are inside."""
    steps = "".join(
        f"<tr><td>{'✓' if step.state == 'done' else '✗'}</td>"
        f"<td class=number>{(step.seconds or 0):.1f} s</td><td class=who>{escape(step.stage)}</td>"
        f"<td>{escape(step.title)}</td><td>{escape(step.detail)}</td></tr>"
        for step in outcome.timeline.steps
    )
    checks = "".join(
        f"<tr><td class={_CLASSES[item.mark]}>{_SIGNS[item.mark]}</td>"
        f"<td>{escape(item.title)}</td><td>{escape(item.reason)}</td></tr>"
        for item in outcome.verification.checks
    )
    insecure = ", ".join(outcome.verification.insecure_settings)
    statement = (outcome.folder / "provider" / outcome.publication.dataset.name).joinpath(
        "privacy-statement.txt"
    )
    return f"""<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>ManaTEE demo</title><style>{_STYLE}</style>
<main><h1>One private table, two stages, one proof</h1>
<p class="banner">{escape(headline(outcome.verification))}<br>
Insecure settings on: {escape(insecure) or "none"}</p>
<h2>The same notebook, twice</h2>
<div class="pair">{_picture(outcome.rehearsal.files, "Stage one: on the twin", "Plot on the twin")}
{_picture(outcome.outputs, "Stage two: on the private table", "Plot on the private table")}</div>
{_comparison(outcome)}
<h2>Where the twin misled</h2>{_misled(outcome)}
<h2>Timeline</h2><table><tbody>{steps}</tbody></table>
<h2>Proof of execution</h2><p>Job <code>{escape(outcome.job.job_digest)}</code></p>
<table><tbody>{checks}</tbody></table>
<h2>Privacy statement of the twin</h2><pre style="white-space:pre-wrap">{
        escape(statement.read_text())
    }</pre></main></html>
"""


def write_report(outcome: DemoOutcome) -> Path:
    """Write the page into the demo's folder and return its path."""
    path = outcome.folder / "report.html"
    path.write_text(render_report(outcome))
    return path
