/** JupyterLab's side of the views: widgets that hold them. */
import { MainAreaWidget, ReactWidget } from '@jupyterlab/apputils';
import type { Message } from '@lumino/messaging';
import * as React from 'react';
import { shieldIcon } from './icons';
import { fileName } from './models/words';
import { JobPage, type JobPageProps } from './views/jobPage';
import { Panel, type PanelProps } from './views/panel';
import { SubmitForm, type SubmitFormProps } from './views/submitForm';

/** The side panel; `update()` after its notebook changed. */
export class PanelWidget extends ReactWidget {
  notebook = '';

  constructor(private readonly _props: Omit<PanelProps, 'notebook'>) {
    super();
    this.id = 'manatee-panel';
    this.addClass('mnt-root');
    this.title.icon = shieldIcon;
    this.title.caption = 'Clean room';
  }

  protected override render(): JSX.Element {
    return <Panel {...this._props} notebook={this.notebook} />;
  }
}

class View extends ReactWidget {
  constructor(private readonly _view: JSX.Element) {
    super();
    this.addClass('mnt-root');
    this.addClass('mnt-main');
    this.node.tabIndex = -1;
  }

  protected override render(): JSX.Element {
    return this._view;
  }

  /** Put the caret where a person would: into the first field, if there is one. */
  protected override onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    void this.renderPromise?.then(() => {
      if (!this.node.contains(document.activeElement)) {
        const field = this.node.querySelector<HTMLElement>('[data-field]');
        (field ?? this.node).focus();
      }
    });
  }
}

function mainArea(id: string, label: string, view: JSX.Element): MainAreaWidget {
  const widget = new MainAreaWidget({ content: new View(view) });
  widget.id = id;
  widget.title.label = label;
  widget.title.icon = shieldIcon;
  widget.title.closable = true;
  widget.toolbar.hide();
  return widget;
}

export function jobWidget(props: JobPageProps, notebook: string): MainAreaWidget {
  return mainArea(jobWidgetId(props.jobId), `Job: ${fileName(notebook)}`, <JobPage {...props} />);
}

export function jobWidgetId(jobId: string): string {
  return `manatee-job-${jobId}`;
}

export function submitWidget(props: SubmitFormProps): MainAreaWidget {
  const name = fileName(props.start.notebook);
  return mainArea(submitWidgetId(props.start.notebook), `Submit ${name}`, <SubmitForm {...props} />);
}

export function submitWidgetId(notebook: string): string {
  return `manatee-submit-${notebook}`;
}
