import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emptyForm, formOf, problems, requestOf, suggest } from '../src/models/form';
import { info, job, preflight } from './samples';

const good = { ...suggest(emptyForm('work/a.ipynb'), preflight, info), purpose: 'To learn.' };

test('what is known is filled in', () => {
  assert.equal(good.project, 'charges');
  assert.equal(good.resourceClass, 'small');
  assert.deepEqual(good.datasets, ['insurance']);
  assert.deepEqual(good.parameters, { rows: '3', exact: 'false', name: 'x' });
  assert.deepEqual(problems(good, preflight), {});
});

test('what a person has said is never replaced', () => {
  const said = { ...good, project: 'mine', datasets: ['births'], parameters: { rows: '9' } };
  const again = suggest(said, preflight, info);
  assert.equal(again.project, 'mine');
  assert.deepEqual(again.datasets, ['births']);
  assert.equal(again.parameters.rows, '9');
});

test('purpose, project and a data set are required', () => {
  const found = problems(emptyForm('a.ipynb'), preflight);
  assert.deepEqual(Object.keys(found), ['purpose', 'project', 'datasets']);
  assert.ok(problems({ ...good, purpose: '  \n' }, preflight).purpose);
});

test('a number stays a number', () => {
  const many = { ...good, parameters: { ...good.parameters, rows: 'many' } };
  assert.equal(problems(many, preflight).parameters, 'rows must be a number.');
  const twelve = { ...good, parameters: { rows: '12', exact: 'true', name: 'y' } };
  assert.deepEqual(requestOf(twelve, preflight).parameters, { rows: 12, exact: true, name: 'y' });
});

test('parameters that were not changed are not sent', () => {
  assert.deepEqual(requestOf(good, preflight).parameters, {});
});

test('outputs are one a line, inside the output folder', () => {
  const values = { ...good, outputs: ' a.json\n\nb.png , c.csv' };
  assert.deepEqual(requestOf(values, preflight).declared_outputs, ['a.json', 'b.png', 'c.csv']);
  for (const outputs of ['/etc/passwd', '../up', 'a/../../b']) {
    assert.ok(problems({ ...good, outputs }, preflight).outputs, outputs);
  }
});

test('an earlier job gives a form that names it', () => {
  const again = formOf(job());
  assert.equal(again.resubmits, 'job-0000000000000001');
  assert.equal(again.outputs, 'a.json\nb.png');
  assert.deepEqual(again.parameters, { rows: '3' });
});
