"""One person's JupyterLab below the hub: connected with the service, closed to the world."""

from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager

from manatee.cli._hub_desk import prepare_hub_desk
from manatee.settings import load_settings

c = get_config()  # noqa: F821  # JupyterLab's
work = Path.home() / "notebooks"
desk = prepare_hub_desk(load_settings(), work)


class RuntimeKernels(KernelSpecManager):
    """The locked runtime of stage two, and no other kernel."""

    def _kernel_dirs_default(self):
        return [str(desk.kernels)]


c.ServerApp.root_dir = str(work)
c.ServerApp.kernel_spec_manager_class = RuntimeKernels
c.KernelSpecManager.ensure_native_kernel = False
c.ManateeLab.folder = str(desk.folder)
c.ServerApp.tornado_settings = {"headers": {"Content-Security-Policy": desk.content_policy}}
c.LabApp.extension_manager = "readonly"
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
