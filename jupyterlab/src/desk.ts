/** What a person does in JupyterLab, put together from notebooks, widgets and the room. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { Widget } from '@lumino/widgets';
import { emptyForm, formOf, type FormValues } from './models/form';
import type { RoomModel } from './models/room';
import { fileName } from './models/words';
import type { Job } from './models/wire';
import { jobWidget, jobWidgetId, submitWidget, submitWidgetId } from './widgets';

export class Desk {
  constructor(
    private readonly _app: JupyterFrontEnd,
    private readonly _notebooks: INotebookTracker,
    private readonly _room: RoomModel
  ) {}

  /** File name of the notebook in front; '' if none is. */
  get currentName(): string {
    const current = this._notebooks.currentWidget;
    return current ? fileName(current.context.path) : '';
  }

  /** Save the notebook in front, and ask what is needed to submit it. */
  async submitCurrent(): Promise<void> {
    const current = this._notebooks.currentWidget;
    if (current) {
      await current.context.ready;
      this._openForm(emptyForm(current.context.path), current);
    }
  }

  /** Open a notebook, and ask what is needed to submit it. */
  async submitPath(path: string): Promise<void> {
    this._openForm(emptyForm(path), await this._open(path));
  }

  openJob(id: string): void {
    const notebook = this._room.job(id)?.manifest.entry_notebook ?? 'job';
    this._show(jobWidgetId(id), () =>
      jobWidget(
        {
          room: this._room,
          jobId: id,
          onCell: (job, cell) => void this._showCellOf(job, cell),
          onResubmit: job => void this._resubmit(job)
        },
        notebook
      )
    );
  }

  /** Put code into a new cell below the one that is active. */
  insert(code: string): void {
    const current = this._notebooks.currentWidget;
    const model = current?.content.model;
    if (!current || !model) {
      Notification.info('Open a notebook first.', { autoClose: 4000 });
      return;
    }
    const at = current.content.activeCellIndex + 1;
    model.sharedModel.insertCell(at, { cell_type: 'code', source: code });
    current.content.activeCellIndex = at;
    this._app.shell.activateById(current.id);
  }

  private async _resubmit(job: Job): Promise<void> {
    const notebook = await this._notebookOf(job);
    if (notebook) {
      this._openForm({ ...formOf(job), notebook: notebook.context.path }, notebook);
    }
  }

  private _openForm(start: FormValues, notebook: NotebookPanel): void {
    const id = submitWidgetId(start.notebook);
    const open = [...this._app.shell.widgets('main')].find(widget => widget.id === id);
    open?.dispose();
    const form = submitWidget({
      room: this._room,
      start,
      onSave: async () => {
        if (!notebook.isDisposed && notebook.context.model.dirty) {
          await notebook.context.save();
        }
      },
      onCell: cell => void this._showCell(notebook, cell),
      onSubmitted: job => {
        this._room.take(job);
        this.openJob(job.id);
        form.dispose();
      }
    });
    this._app.shell.add(form, 'main', { mode: 'split-right', ref: notebook.id });
    this._app.shell.activateById(form.id);
  }

  private _show(id: string, make: () => Widget): void {
    const open = [...this._app.shell.widgets('main')].find(widget => widget.id === id);
    if (!open) {
      this._app.shell.add(make(), 'main');
    }
    this._app.shell.activateById(id);
  }

  private async _showCellOf(job: Job, cell: number): Promise<void> {
    const notebook = await this._notebookOf(job);
    if (notebook) {
      await this._showCell(notebook, cell);
    }
  }

  /** Activate a code cell by its number from 1, as runs count them. */
  private async _showCell(notebook: NotebookPanel, cell: number): Promise<void> {
    await notebook.revealed;
    const index = notebook.content.widgets
      .map((widget, place) => ({ widget, place }))
      .filter(({ widget }) => widget.model.type === 'code')[cell - 1]?.place;
    if (index !== undefined) {
      this._app.shell.activateById(notebook.id);
      notebook.content.activeCellIndex = index;
      await notebook.content.scrollToItem(index, 'center');
      notebook.content.activate();
    }
  }

  /** Open the notebook that a job ran, or say that it is not here. */
  private async _notebookOf(job: Job): Promise<NotebookPanel | null> {
    const { path } = await this._room.client.notebook(job.id);
    if (path === null) {
      Notification.warning(`${job.manifest.entry_notebook} is not in this folder.`, {
        autoClose: 6000
      });
      return null;
    }
    return this._open(path);
  }

  private async _open(path: string): Promise<NotebookPanel> {
    const widget = await this._app.commands.execute('docmanager:open', { path });
    const panel = widget as NotebookPanel;
    await panel.context.ready;
    return panel;
  }
}
