import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import type { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import type { Desk } from './desk';
import { shieldIcon } from './icons';
import { CommandIDs } from './tokens';
import type { PanelWidget } from './widgets';

const CATEGORY = 'Clean room';

export function addCommands(
  app: JupyterFrontEnd,
  desk: Desk,
  panel: PanelWidget,
  palette: ICommandPalette | null,
  files: IDefaultFileBrowser | null
): void {
  app.commands.addCommand(CommandIDs.openPanel, {
    label: 'Open the clean room',
    caption: 'Jobs and data sets of the clean room',
    icon: shieldIcon,
    execute: () => app.shell.activateById(panel.id)
  });
  app.commands.addCommand(CommandIDs.submit, {
    label: args => (args.toolbar ? '' : 'Submit this notebook to the clean room'),
    caption: 'Submit this notebook to the clean room',
    icon: shieldIcon,
    isEnabled: () => desk.currentName !== '',
    execute: () => desk.submitCurrent()
  });
  app.commands.addCommand(CommandIDs.submitFile, {
    label: 'Submit to the clean room',
    icon: shieldIcon,
    isVisible: () => files !== null,
    execute: () => {
      const chosen = files && [...files.selectedItems()].find(item => item.type === 'notebook');
      return chosen ? desk.submitPath(chosen.path) : undefined;
    }
  });
  app.commands.addCommand(CommandIDs.openJob, {
    label: 'Open a job',
    isVisible: () => false,
    execute: args => desk.openJob(String(args.job ?? ''))
  });
  for (const command of [CommandIDs.openPanel, CommandIDs.submit]) {
    palette?.addItem({ command, category: CATEGORY });
  }
}
