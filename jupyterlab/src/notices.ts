import { Notification } from '@jupyterlab/apputils';
import type { RoomModel } from './models/room';
import { describeFailure, fileName } from './models/words';
import type { Job } from './models/wire';

const GOOD_MS = 8000;

/** Tell when a job ends. Failures stay until they are read. */
export function notifyOfEnds(room: RoomModel, open: (job: Job) => void): void {
  room.onEnded(job => {
    const name = fileName(job.manifest.entry_notebook);
    const actions = [{ label: 'Open', callback: () => open(job) }];
    if (job.state === 'released') {
      Notification.success(`The outputs of ${name} are released.`, { actions, autoClose: GOOD_MS });
    } else if (job.state === 'cancelled') {
      Notification.info(`${name} was cancelled.`, { autoClose: GOOD_MS });
    } else {
      const why = describeFailure(job);
      Notification.error(`${name}: ${why}`, { actions, autoClose: false });
    }
  });
}
