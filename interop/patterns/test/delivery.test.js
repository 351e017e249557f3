import assert from 'node:assert/strict';
import { test } from 'node:test';
import { application } from './processes.js';

test('the printed table holds what the three modes promise', async (t) => {
  const compare = application(t, 'delivery')('compare.js');
  assert.equal(await compare.ended(), 0, compare.lines.join('\n'));
  const [head, ...rows] = compare.lines.map((line) => line.split(/ +/));
  assert.deepEqual(head, ['mode', 'sent', 'lost', 'twice']);
  const table = Object.fromEntries(rows.map(([mode, ...counts]) => [mode, counts.map(Number)]));
  assert.deepEqual(Object.keys(table), ['at-most-once', 'at-least-once', 'effectively-once']);
  // The accidents are such that the weaker modes cannot come through unharmed.
  const [sent, lost, doubled] = table['at-most-once'];
  assert.deepEqual([sent, lost > 0, doubled], [400, true, 0], `${compare.lines.join('\n')}`);
  const [, none, twice] = table['at-least-once'];
  assert.deepEqual([none, twice > 0], [0, true], `${compare.lines.join('\n')}`);
  assert.deepEqual(table['effectively-once'], [400, 0, 0], `${compare.lines.join('\n')}`);
});
