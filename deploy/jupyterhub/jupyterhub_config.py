"""JupyterHub in front of ManaTEE: everybody gets a desk of their own, and nobody another's.

    MANATEE_URL      the service, as people's servers reach it
    MANATEE_RUNTIME  the notebooks' runtime, readable by everybody

Start the service with MANATEE_HUB_API_URL at this hub's `/hub/api`, and say who has which account
with `manatee admin link-hub-user ACCOUNT HUB-USER`. Settings of your own go into a file that begins
with `load_subconfig` of this one.
"""

from pathlib import Path

from manatee.settings import load_settings

c = get_config()  # noqa: F821  # JupyterHub's
here = Path(__file__).resolve().parent
settings = load_settings()

# --- who may sign in: people whom an administrator added, with the password of their first use ----
c.JupyterHub.authenticator_class = "firstuseauthenticator.FirstUseAuthenticator"
c.FirstUseAuthenticator.create_users = False
c.FirstUseAuthenticator.min_password_length = 12
c.FirstUseAuthenticator.dbm_path = "passwords.dbm"

# --- the service: it asks the hub whose token it is shown, and has no token of its own -----------
access = f"access:services!service={settings.hub_service}"
c.JupyterHub.services = [{"name": settings.hub_service, "display": False}]
c.JupyterHub.load_roles = [
    {"name": "user", "scopes": ["self", access]},
    {"name": "server", "scopes": ["users:activity!user", "access:servers!server", access]},
]

# --- people's servers: accounts of the machine; notebooks run as that account ---------------------
c.JupyterHub.spawner_class = "jupyterhub.spawner.LocalProcessSpawner"
c.Spawner.default_url = "/lab"
c.Spawner.args = [f"--config={here / 'singleuser_config.py'}"]
c.Spawner.start_timeout = 120  # seconds; the twins are fetched meanwhile
c.Spawner.http_timeout = 120
c.Spawner.env_keep = ["PATH", "LANG", "LC_ALL"]
c.Spawner.environment = {
    "MANATEE_URL": settings.url,
    "MANATEE_TOKEN": lambda spawner: spawner.api_token,
    "MANATEE_RUNTIME": str(settings.runtime),
    "MANATEE_TEE": settings.tee,
}

# --- the proxy, pinned by the package-lock.json beside this file ----------------------------------
proxy = here / "node_modules" / ".bin" / "configurable-http-proxy"
c.ConfigurableHTTPProxy.command = [str(proxy)]
