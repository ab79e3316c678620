/** The extension: commands, the side panel, and one live stream to the clean room. */
import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { INotebookTracker } from '@jupyterlab/notebook';
import { addCommands } from './commands';
import { Desk } from './desk';
import { RoomModel } from './models/room';
import { notifyOfEnds } from './notices';
import { CleanRoomClient } from './service/client';
import { jupyterTransport } from './service/transport';
import { CommandIDs, ICleanRoom, PLUGIN } from './tokens';
import { PanelWidget } from './widgets';

const plugin: JupyterFrontEndPlugin<ICleanRoom> = {
  id: PLUGIN,
  description: 'The researcher’s desk of a ManaTEE clean room.',
  autoStart: true,
  provides: ICleanRoom,
  requires: [INotebookTracker],
  optional: [ICommandPalette, ILayoutRestorer, IDefaultFileBrowser],
  activate: (
    app: JupyterFrontEnd,
    notebooks: INotebookTracker,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    files: IDefaultFileBrowser | null
  ): ICleanRoom => {
    const client = new CleanRoomClient(jupyterTransport(app.serviceManager.serverSettings));
    const room = new RoomModel(client);
    const desk = new Desk(app, notebooks, room);
    const panel = new PanelWidget({
      room,
      onSubmit: () => void app.commands.execute(CommandIDs.submit),
      onOpen: job => desk.openJob(job.id),
      onInsert: code => desk.insert(code)
    });
    notebooks.currentChanged.connect(() => {
      panel.notebook = desk.currentName;
      panel.update();
    });
    app.shell.add(panel, 'left', { rank: 150 });
    restorer?.add(panel, panel.id);
    addCommands(app, desk, panel, palette, files);
    notifyOfEnds(room, job => desk.openJob(job.id));

    const stop = new AbortController();
    window.addEventListener('pagehide', () => stop.abort());
    void app.restored.then(() => room.follow(stop.signal));
    return { client, room };
  }
};

export default plugin;
export * from './tokens';
