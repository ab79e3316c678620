"""`manatee lab`: the researcher's desk, in JupyterLab."""

from __future__ import annotations

import signal
import webbrowser
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from manatee.errors import SettingsError
from manatee.settings import Settings, load_settings

if TYPE_CHECKING:
    from manatee.cli._lab import DeskFiles


def lab(
    demo: Annotated[
        bool, typer.Option("--demo", help="Set up a whole clean room on this machine to try it.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Folder of your notebooks. [default: manatee-lab]")
    ] = None,
    identity: Annotated[
        Path | None, typer.Option("--identity", help="Your researcher identity; not with --demo.")
    ] = None,
    trust: Annotated[
        Path | None, typer.Option("--trust", help="Whom you trust; not with --demo.")
    ] = None,
    project: Annotated[
        list[str] | None, typer.Option("--project", help="A project of yours; repeatable.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address.")] = False,
    no_approvals: Annotated[
        bool,
        typer.Option("--no-approvals", help="In the demo, approve jobs yourself."),
    ] = False,
) -> None:
    """Start JupyterLab with the clean room built in, and print its address; until ctrl-C.

    Without --demo it connects to the service that MANATEE_URL names; without MANATEE_TOKEN you sign
    in on the service's page first.
    """
    from manatee.cli._lab import prepare_stage_one, running_jupyter
    from manatee.cli._lab_demo import demo_room, yes_to_everything
    from manatee.client import ManateeClient

    settings = load_settings()
    signal.signal(signal.SIGTERM, _interrupt)
    with ExitStack() as stack:
        if demo:
            place = (folder or Path("manatee-lab-demo")).absolute()
            made = stack.enter_context(demo_room(place, settings, progress=_say))
            if not no_approvals:
                stack.enter_context(yes_to_everything(made))
            work, desk, client = place / "work", made.desk, made.researcher()
        else:
            settings = _signed_in(settings, identity, no_browser=no_browser)
            files = _desk_files(settings, identity, trust, tuple(project or ()))
            files.write()
            work, desk = (folder or Path("manatee-lab")).absolute(), files.folder
            client = ManateeClient(settings.url, settings.token)
        with client:
            _say("fetching the twins")
            prepare_stage_one(
                work, desk, client, runtime=settings.runtime, notebooks=_examples(demo)
            )
        if not panel_is_built():
            _say("the panel is not built here; `manatee doctor` says what is missing")
        _say("starting JupyterLab")
        url, process = stack.enter_context(running_jupyter(work, desk, port=port))
        typer.echo(url)
        _say(_words(demo and not no_approvals))
        if not no_browser:
            webbrowser.open(url)
        process.wait()


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _words(approves: bool) -> str:
    if approves:
        return "The demo's data provider approves everything. SIMULATED TEE. Ctrl-C ends it all."
    return "Ctrl-C ends it."


def panel_is_built() -> bool:
    """Return whether JupyterLab will find the panel; False where Node was missing."""
    from importlib.util import find_spec

    found = find_spec("manatee_lab")
    if found is None or found.origin is None:
        return False
    return (Path(found.origin).parent / "labextension" / "package.json").is_file()


def _examples(demo: bool) -> list[Path]:
    example = Path(__file__).resolve().parents[3] / "examples" / "insurance" / "notebook.ipynb"
    return [example] if demo and example.is_file() else []


def _signed_in(settings: Settings, identity: Path | None, *, no_browser: bool) -> Settings:
    """Return the settings with a token, for which the person signs in if there is none."""
    if settings.token or not settings.url or identity is None:
        return settings  # what is missing beside it is said first
    from manatee.cli._browser_sign_in import sign_in_by_browser

    made = sign_in_by_browser(
        settings.url,
        program="lab",
        say=lambda address: _say(f"sign in at {address}"),
        open_browser=(lambda _: False) if no_browser else webbrowser.open,
    )
    return replace(settings, token=made.token)


def _desk_files(
    settings: Settings, identity: Path | None, trust: Path | None, projects: tuple[str, ...]
) -> DeskFiles:
    from manatee.cli._lab import DeskFiles
    from manatee.cli._people import read_identity
    from manatee.runtime import runtime_digest

    if not settings.url:
        raise SettingsError("MANATEE_URL is not set.", hint="Set it, or try `manatee lab --demo`.")
    if identity is None:
        raise SettingsError(
            "--identity is missing.", hint="Make yours with `manatee new-identity FILE`."
        )
    return DeskFiles(
        folder=settings.home / "desk",
        url=settings.url,
        token=settings.token,
        identity=read_identity(identity),
        trust=trust,
        runtime_digest=runtime_digest(settings.runtime),
        projects=projects,
        tee=settings.tee,
        runtime=settings.runtime,
    )
