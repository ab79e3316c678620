"""Where the twin misled: what a run measured of the real tables, held to the twins."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from manatee.cli._options import Output, open_client
from manatee.cli._output import Format, print_json, print_rows
from manatee.errors import MalformedError, NotFoundError
from manatee.records import DatasetManifest, TwinReport, unbase64

if TYPE_CHECKING:
    from manatee.client import ManateeClient
    from manatee.comparison import Finding


@dataclass(frozen=True)
class Misled:
    """One data set's report and what came of it."""

    report: TwinReport
    findings: tuple[Finding, ...]

    def count(self, verdict: str) -> int:
        """Return how many findings have a verdict."""
        return sum(item.verdict == verdict for item in self.findings)


def misled_by_twins(client: ManateeClient, job_id: str) -> tuple[Misled, ...]:
    """Fetch a job's reports, download the twins and compare.

    Effects: network; the twins lie in a temporary folder meanwhile.

    Raises:
        ConflictError: The job has not ended.
        NotFoundError: No such job, or it ended without a signed result or a report.
        MalformedError: A report is not one of its data set.
    """
    from manatee.bundle import read_statement

    result = client.result(job_id)
    if result.envelope is None:
        raise NotFoundError("the job ended before it had any key: it measured nothing.")
    statement, _, _ = read_statement(unbase64(result.envelope))
    run = statement.predicate
    if not run.result.twin_reports:
        raise NotFoundError(
            "the job made no report of where the twin misled.",
            hint="Ask for one with `manatee submit --twin-report`; it costs privacy budget.",
        )
    datasets = {item.name: item for item in run.datasets}
    return tuple(
        Misled(report, _compared(client, report, datasets.get(report.dataset)))
        for report in run.result.twin_reports
    )


def _compared(
    client: ManateeClient, report: TwinReport, dataset: DatasetManifest | None
) -> tuple[Finding, ...]:
    import pyarrow.dataset

    from manatee.comparison import arrow_columns, compare, count_exactly

    if dataset is None or dataset.comparison is None:
        raise MalformedError("the job reports on a data set whose provider does not allow it.")
    entry = client.dataset(report.dataset)
    with tempfile.TemporaryDirectory(prefix="manatee-twin-") as folder:
        files = client.download_twin(entry, Path(folder))
        twin = pyarrow.dataset.dataset([str(path) for path in files])
        counts = count_exactly(twin.to_batches(), twin.schema, dataset.comparison)
        return compare(report, dataset.comparison, arrow_columns(twin.schema), counts)


def twin_report(
    job: Annotated[str, typer.Argument(help="The job's id.")],
    everything: Annotated[bool, typer.Option("--all", help="Show what agrees, too.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Show where the twin misled a job that was submitted with --twin-report.

    Shares of rows: the twin's, and an interval in which the real table's lies; all intervals of a
    report hold together with 95% confidence. Works for failed jobs, too.
    """
    found = misled_by_twins(open_client(), job)
    if output is Format.JSON:
        print_json(
            [
                {
                    "dataset": item.report.dataset,
                    "rho": item.report.rho,
                    "findings": [_plain(finding) for finding in item.findings],
                }
                for item in found
            ]
        )
        return
    for item in found:
        typer.echo(
            f"{item.report.dataset}: {item.count('misled')} of {len(item.findings)} misled, "
            f"{item.count('cannot tell')} drowned in noise; rho {item.report.rho} per "
            f"{item.report.unit}"
        )
        rows = list(_rows(item, everything=everything))
        if rows:
            print_rows(("WHAT", "WHERE", "TWIN", "REAL (95%)", "VERDICT"), rows)


def _rows(item: Misled, *, everything: bool) -> Iterator[tuple[str, ...]]:
    for finding in item.findings:
        if everything or finding.verdict == "misled":
            yield finding.what, finding.where, finding.twin, finding.real, finding.verdict


def _plain(finding: Finding) -> dict[str, object]:
    """Return a finding as JSON values; a type has no interval."""
    numbers = {} if finding.what == "type" else {"low": finding.low, "high": finding.high}
    return {
        "what": finding.what,
        "where": finding.where,
        "twin": finding.twin,
        "real": finding.real,
        "verdict": finding.verdict,
        **numbers,
    }


def add_to(app: typer.Typer) -> None:
    """Add this command to the tree."""
    app.command("twin-report")(twin_report)
