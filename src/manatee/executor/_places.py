"""Where things are in the guest, and what the kernel sees of them."""

from dataclasses import dataclass
from pathlib import Path

WORKSPACE = "/workspace"
OUTPUTS = "/outputs"
DATA = "/data"
SESSION = "/run/manatee/session.json"

TABLE = "table.arrow"


@dataclass(frozen=True)
class Places:
    """The guest's folders.

    Attributes:
        run: What the host put in: plan, workspace, data sets, channel, cgroups. Read-only.
        scratch: The kernel's disk, sized by the resource class.
        vault: The agent's own: decrypted tables and its working files. Never full because of
            anything the researcher's code wrote.
    """

    run: Path
    scratch: Path = Path("/scratch")
    vault: Path = Path("/vault")

    @property
    def plan(self) -> Path:
        """The guest plan."""
        return self.run / "plan.json"

    @property
    def workspace_archive(self) -> Path:
        """The workspace as it was submitted."""
        return self.run / "workspace.tar"

    @property
    def channel(self) -> Path:
        """The guest channel's socket."""
        return self.run / "channel.sock"

    @property
    def cgroups(self) -> Path:
        """Folder of the kernel's cgroups, one folder each."""
        return self.run / "cgroup"

    @property
    def workspace(self) -> Path:
        """The kernel's copy of the workspace."""
        return self.scratch / "workspace"

    @property
    def outputs(self) -> Path:
        """Where the kernel leaves its files."""
        return self.scratch / "outputs"

    @property
    def temporary(self) -> Path:
        """The kernel's /tmp."""
        return self.scratch / "tmp"

    @property
    def shared_memory(self) -> Path:
        """The kernel's /dev/shm."""
        return self.scratch / "shm"

    @property
    def sockets(self) -> Path:
        """Sockets between driver and kernel; the only folder both of them see."""
        return self.scratch / "ipc"

    @property
    def private(self) -> Path:
        """Files of the agent that the kernel gets read-only or not at all."""
        return self.vault / ".agent"

    def sealed_dataset(self, name: str) -> Path:
        """The files of one data set as they came from the host."""
        return self.run / "datasets" / name

    def open_dataset(self, name: str) -> Path:
        """Folder of one data set's opened table."""
        return self.vault / name

    def table(self, name: str) -> Path:
        """One data set's opened table, an Arrow IPC file."""
        return self.open_dataset(name) / TABLE

    def make(self) -> None:
        """Create the folders that do not exist yet. Raises OSError."""
        for folder in (
            self.outputs,
            self.temporary,
            self.shared_memory,
            self.sockets,
            self.private,
        ):
            folder.mkdir(parents=True, mode=0o700)
