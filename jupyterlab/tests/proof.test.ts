import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headlineOf, isSimulated, isVerified, worstFirst } from '../src/models/proof';
import { attestation } from './samples';

test('a verified run says so in the words of the verification', () => {
  assert.deepEqual(headlineOf(attestation()), [
    'VERIFIED, BUT SIMULATED',
    'A simulated TEE is not hardware.'
  ]);
});

test('one failed check is enough, whatever the rest claims', () => {
  const checks = [...attestation().checks, { mark: 'failed' as const, title: 'x', reason: 'y' }];
  assert.ok(!isVerified(attestation({ checks })));
  assert.equal(headlineOf(attestation({ checks }))[0], 'Not verified');
});

test('no check, or only checks that do not apply, is not verified', () => {
  assert.ok(!isVerified(attestation({ checks: [] })));
  const checks = [{ mark: 'not_applicable' as const, title: 'x', reason: 'y' }];
  assert.ok(!isVerified(attestation({ checks })));
});

test('a mark that is not known is not a pass', () => {
  const checks = [...attestation().checks, { mark: 'perhaps' as never, title: 'x', reason: 'y' }];
  assert.ok(!isVerified(attestation({ checks })));
});

test('a refusal stands even if all marks look good', () => {
  assert.ok(!isVerified(attestation({ verified: false })));
});

test('an unknown tier counts as simulated', () => {
  assert.ok(isSimulated(attestation({ tier: '' })));
  assert.ok(!isSimulated(attestation({ tier: 'hardware' })));
});

test('failed checks stand first, the rest as the verification ordered them', () => {
  const named = (title: string, mark: 'passed' | 'failed') => ({ title, mark, reason: '' });
  const checks = [named('a', 'passed'), named('b', 'failed'), named('c', 'passed')];
  assert.deepEqual(
    worstFirst(checks).map(({ title }) => title),
    ['b', 'a', 'c']
  );
});
