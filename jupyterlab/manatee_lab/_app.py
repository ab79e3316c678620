"""The server extension: where its desk is, and which addresses it answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Unicode

from manatee_lab._desk import LazyDesk, open_desk
from manatee_lab._handlers import HANDLERS
from manatee_lab._live import LiveRoom

LABEXTENSION = Path(__file__).parent / "labextension"


class ManateeLab(ExtensionApp):
    """Serves `/manatee/` to the panel."""

    name = "manatee_lab"
    folder = Unicode(
        "",
        config=True,
        help="Folder with connection.json, identity.json and trust.json; "
        "empty: the folder `desk` in ManaTEE's home.",
    )

    def initialize_settings(self) -> None:
        """Prepare the desk; it is opened with the first request."""
        if not (LABEXTENSION / "package.json").is_file():
            self.log.warning(
                "ManaTEE's panel is not built: only its server part is here. "
                "Install Node 20 and run `npm ci && npm run build` in the folder jupyterlab."
            )
        root = Path(self.serverapp.root_dir) if self.serverapp else Path.cwd()
        desk = LazyDesk(lambda: open_desk(Path(self.folder) if self.folder else None, root))
        self.settings["manatee_desk"] = desk
        self.settings["manatee_live"] = LiveRoom(desk)

    def initialize_handlers(self) -> None:
        """Answer below `/manatee/`."""
        handlers: list[tuple[str, Any]] = [(rf"/manatee/{path}", kind) for path, kind in HANDLERS]
        self.handlers.extend(handlers)

    async def stop_extension(self) -> None:
        """End the threads that follow jobs."""
        self.settings["manatee_live"].close()
