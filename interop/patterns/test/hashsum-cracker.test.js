import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { search, wordAt, wordCount } from '../hashsum-cracker/search_space.js';
import { application, startBroker } from './processes.js';

const md5 = (word) => createHash('md5').update(word).digest('hex');
const AN_HOUR_MS = 3_600_000;

/** Starts a search of all words of up to three letters, about `tasks` tasks, and returns the job. */
async function crack(run, word, tasks = 40) {
  const perTask = Math.ceil(wordCount(3) / tasks);
  const [, job, count] = await run('crack.js', { args: [md5(word), '3', String(perTask)] }).line(/^job (\w+): (\d+) tasks$/);
  return { job, tasks: Number(count) };
}

const found = (collector, job) => collector.lines.filter((line) => line.startsWith(`job ${job}: found`));

test('the words are numbered without a gap', async () => {
  const words = Array.from({ length: wordCount(3) }, (_, index) => wordAt(index));
  assert.deepEqual([words.length, new Set(words).size], [26 + 26 ** 2 + 26 ** 3, words.length]);
  assert.deepEqual([words[0], words[25], words[26], words[702], words.at(-1)], ['a', 'z', 'aa', 'aaa', 'zzz']);
  const rest = async () => {};
  assert.equal(await search({ hash: md5('cab'), from: 0, to: words.length }, rest), 'cab');
  assert.equal(await search({ hash: md5('cab'), from: 0, to: words.indexOf('cab') }, rest), null);
});

test('a slow worker holds nobody up, and when it is killed its task goes to another', async (t) => {
  const broker = await startBroker(t);
  const run = application(t, 'hashsum-cracker', { AMQP_URL: broker.url });
  const collector = run('collector.js');
  const slow = run('worker.js', { env: { WORKER: 'slow', PAUSE_MS: String(AN_HOUR_MS) } });
  await slow.line(/ready/);
  const { job, tasks } = await crack(run, 'wed');
  const [, held] = await slow.line(/^task (\d+) begun/);

  // Workers that come while the job runs do all the rest.
  const quick = ['one', 'two', 'three'].map((name) => run('worker.js', { env: { WORKER: name } }));
  await collector.line(new RegExp(`^job ${job}: ${tasks - 1} of ${tasks} `));
  assert.equal(slow.lines.filter((line) => /begun/.test(line)).length, 1);

  await slow.kill();
  await collector.line(new RegExp(`^job ${job}: finished$`));
  const again = quick.flatMap(({ lines }) => lines).filter((line) => /begun again/.test(line));
  assert.deepEqual(again, [`task ${held} begun again`]);
  assert.deepEqual(found(collector, job), [`job ${job}: found "wed"`]);
  const done = collector.lines.map((line) => line.match(/\(task (\d+) by/)?.[1]).filter(Boolean);
  assert.deepEqual(done.map(Number).sort((a, b) => a - b), Array.from({ length: tasks }, (_, task) => task));
});

test('no task is lost over kill -9 of broker, workers and collector', async (t) => {
  const broker = await startBroker(t);
  const run = application(t, 'hashsum-cracker', { AMQP_URL: broker.url });
  const first = run('collector.js');
  await first.line(/ready/);
  // As long as this one holds a task, the job does not end.
  const holder = run('worker.js', { env: { PAUSE_MS: String(AN_HOUR_MS) } });
  await holder.line(/ready/);
  const workers = [run('worker.js'), run('worker.js')];
  const { job, tasks } = await crack(run, 'zoo');
  await holder.line(/begun/);
  await first.line(new RegExp(`^job ${job}: 3 of `));
  for (const worker of workers) await worker.kill();

  await broker.killAndRestart();
  await holder.line(/begun/, 2);
  await first.line(/ready/, 2);
  // The next collector gets all results again.
  await first.kill();
  const second = run('collector.js');
  for (const name of ['three', 'four']) run('worker.js', { env: { WORKER: name } });
  await second.line(new RegExp(`^job ${job}: ${tasks - 1} of `));
  await holder.kill();
  await second.line(new RegExp(`^job ${job}: finished$`));
  assert.deepEqual(found(second, job), [`job ${job}: found "zoo"`]);

  // A job after that finds clean queues.
  const next = await crack(run, 'a', 5);
  await second.line(new RegExp(`^job ${next.job}: finished$`));
  assert.equal(found(second, next.job).length, 1);
});

test('a word that is not in the search space is not found', async (t) => {
  const broker = await startBroker(t);
  const run = application(t, 'hashsum-cracker', { AMQP_URL: broker.url });
  const collector = run('collector.js');
  run('worker.js');
  const { job } = await crack(run, 'Wed', 5);
  await collector.line(new RegExp(`^job ${job}: finished, nothing found$`));
});
