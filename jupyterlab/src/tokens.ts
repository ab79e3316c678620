/** Names that other extensions may rely on. */
import { Token } from '@lumino/coreutils';
import type { CleanRoomClient } from './service/client';
import type { RoomModel } from './models/room';

export const PLUGIN = 'manatee-lab:plugin';

/** Ids of commands, for keyboard shortcuts, menus and other extensions. */
export namespace CommandIDs {
  export const openPanel = 'manatee:open-panel';
  export const submit = 'manatee:submit-notebook';
  export const submitFile = 'manatee:submit-file';
  export const openJob = 'manatee:open-job';
  export const openOutput = 'manatee:open-output';
}

/** What this extension offers to others: the service client and what the panel knows. */
export interface ICleanRoom {
  readonly client: CleanRoomClient;
  readonly room: RoomModel;
}

export const ICleanRoom = new Token<ICleanRoom>(
  'manatee-lab:ICleanRoom',
  'The clean room that this JupyterLab is connected to.'
);
