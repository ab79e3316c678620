import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { Transport } from './client';

/** Sends through JupyterLab's own connection, which carries its cookies and XSRF token. */
export function jupyterTransport(settings: ServerConnection.ISettings): Transport {
  const base = URLExt.join(settings.baseUrl, 'manatee');
  return {
    base,
    send: (path, init) => ServerConnection.makeRequest(`${base}/${path}`, init, settings)
  };
}
