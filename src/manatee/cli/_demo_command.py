"""`manatee demo`: plays the story and shows what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from manatee.cli._options import Output
from manatee.cli._output import Format, print_json
from manatee.settings import load_settings


def demo(
    table: Annotated[
        Path | None, typer.Option(help="Your own CSV table; default: a generated one.")
    ] = None,
    contract: Annotated[
        Path | None, typer.Option(help="YAML contract of your table; default: the insurance one.")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(min=1, help="Rows to generate, or the first so many of yours.")
    ] = None,
    workspace: Annotated[
        Path | None,
        typer.Option(help="Folder with your notebook.ipynb; default: the insurance example."),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--dir", help="Where everything is kept; an earlier demo is replaced.")
    ] = Path("manatee-demo"),
    tee: Annotated[
        str, typer.Option(help="Device of the guests: simulated, or software-tpm (swtpm).")
    ] = "simulated",
    output: Output = Format.TABLE,
) -> None:
    """Play the whole story: one private table, two stages, one proof."""
    from manatee.cli._demo import DemoOptions, DemoOutcome, figures, run_demo
    from manatee.cli._demo_report import write_report
    from manatee.cli._timeline import Timeline
    from manatee.cli._verify import as_json, print_verification

    options = DemoOptions(
        folder=folder,
        table=table,
        contract=contract,
        n_records=rows,
        workspace=workspace,
        tee=tee,
    )
    with Timeline() as timeline:
        outcome = run_demo(options, load_settings(), timeline)
    report = write_report(outcome)

    def answer(outcome: DemoOutcome) -> dict[str, Any]:
        return {
            "folder": str(outcome.folder),
            "bundle": str(outcome.bundle),
            "trust": str(outcome.trust),
            "report": str(report),
            "job_id": outcome.job.id,
            "job_digest": outcome.job.job_digest,
            "state": outcome.job.state,
            "label": outcome.label,
            "figures": {
                "twin": figures(outcome.rehearsal.files),
                "real": figures(outcome.outputs),
            },
            "verification": as_json(outcome.verification),
            "steps": [
                {
                    "stage": step.stage,
                    "title": step.title,
                    "state": step.state,
                    "seconds": round(step.seconds or 0.0, 3),
                    "detail": step.detail,
                }
                for step in timeline.steps
            ],
            "seconds": round(timeline.seconds, 3),
        }

    if output is Format.JSON:
        print_json(answer(outcome))
        return
    typer.echo()
    print_verification(outcome.verification)
    typer.echo("\nThe same notebook, twice")
    twin, real = figures(outcome.rehearsal.files), figures(outcome.outputs)
    typer.echo(f"  {'':<28}{'on the twin':>16}{'on the private table':>24}")
    for name in sorted(twin.keys() | real.keys()):
        typer.echo(f"  {name:<28}{_cell(twin.get(name)):>16}{_cell(real.get(name)):>24}")
    typer.echo(f"\nReport with both figures   {report}")
    typer.echo(f"Run bundle                 {outcome.bundle}")
    typer.echo(
        f"Verify it again            manatee verify {outcome.bundle} --trust {outcome.trust}"
    )


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.0f}"
    return "–" if value is None else str(value)
