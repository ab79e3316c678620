"""The researcher's desk in a server that JupyterHub started for one person."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from manatee.cli._lab import CONTENT_POLICY, STAGE_ONE, DeskFiles, prepare_stage_one
from manatee.cli._people import new_researcher_identity, read_identity
from manatee.client import ManateeClient
from manatee.errors import SettingsError
from manatee.runtime import runtime_digest
from manatee.settings import Settings

IDENTITY = "researcher-identity.json"
TRUST = "trust.json"


@dataclass(frozen=True)
class HubDesk:
    """What JupyterLab must be told.

    Attributes:
        folder: Of the desk's own files.
        kernels: Folder of the only kernels.
        content_policy: `Content-Security-Policy` of its pages.
    """

    folder: Path
    kernels: Path
    content_policy: str


def prepare_hub_desk(settings: Settings, work: Path) -> HubDesk:
    """Write what connects this person's JupyterLab with the service, and fetch the twins.

    Called whenever the server starts, with the token that the hub made for it. The age identity is
    made at the first start and stays: without it no output can be opened.

    Args:
        settings: `url` and `token` of the service; `home` of this person.
        work: Folder of notebooks.

    Returns:
        What JupyterLab's configuration needs of it.

    Raises:
        SettingsError: No URL or token: the hub did not start this.
        ServiceUnreachableError, AuthenticationError: The service does not answer, or knows nobody.
    """
    if not (settings.url and settings.token):
        raise SettingsError(
            "MANATEE_URL or MANATEE_TOKEN is not set.",
            hint="Both come from deploy/jupyterhub/jupyterhub_config.py.",
        )
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    place = settings.home / IDENTITY
    identity = read_identity(place) if place.exists() else new_researcher_identity(place)
    trust = settings.home / TRUST
    desk = DeskFiles(
        folder=settings.home / "desk",
        url=settings.url,
        token=settings.token,
        identity=identity,
        trust=trust if trust.is_file() else None,
        runtime_digest=runtime_digest(settings.runtime),
        projects=(),
        tee=settings.tee,
        runtime=settings.runtime,
    )
    desk.write()
    with ManateeClient(settings.url, settings.token) as client:
        prepare_stage_one(work, desk.folder, client, runtime=settings.runtime, notebooks=())
    return HubDesk(
        folder=desk.folder,
        kernels=desk.folder / STAGE_ONE / "jupyter" / "kernels",
        content_policy=CONTENT_POLICY,
    )
