import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { application, eventually, startBroker } from './processes.js';

function folder(t) {
  const path = mkdtempSync(join(tmpdir(), 'pattern-history-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Starts the service and waits until it records; `last` asks it for messages. */
async function service(run) {
  const program = run('service.js', { env: { PORT: '0' } });
  await program.line(/^recording$/);
  const [, url] = await program.line(/^history on (.*)$/);
  const last = async (count) => {
    const messages = await (await fetch(`${url}?last=${count}`)).json();
    return messages.map(({ body }) => JSON.parse(body).text);
  };
  return { program, last };
}

/** Says numbered messages, one when the other is confirmed; `confirmed` grows as they are. */
function speaker(run) {
  const program = run('say.js', { args: ['chat.lobby', 'ann'] });
  const confirmed = [];
  return {
    confirmed,
    async say(count) {
      for (const end = confirmed.length + count; confirmed.length < end; ) {
        const text = `message ${confirmed.length}`;
        program.write(`${text}\n`);
        await program.line(new RegExp(`^confirmed .* ${text}$`));
        confirmed.push(text);
      }
    },
  };
}

test('nothing confirmed is missed over kills of the service and of the broker, and nothing is stored twice', async (t) => {
  const broker = await startBroker(t);
  const run = application(t, 'history', { AMQP_URL: broker.url, HISTORY_FOLDER: folder(t) });
  const { confirmed, say } = speaker(run);

  const first = await service(run);
  await say(20);
  await eventually(async () => (await first.last(1000)).length > 0, 'the first messages are stored');

  // The service is away: the queue collects.
  await first.program.kill();
  await say(20);
  // So is the broker, after that, while the speaker goes on trying.
  await broker.kill();
  const saying = say(20);
  await broker.launch();
  await saying;

  // Back again, and killed in the middle of what waited.
  const second = await service(run);
  await say(5);
  await second.program.kill();
  await say(5);

  const third = await service(run);
  await say(5);
  // And the broker once more, while the service runs: it comes back by itself.
  await broker.killAndRestart();
  await say(20);
  await eventually(async () => (await third.last(1)).at(0) === confirmed.at(-1), 'the last message is stored');
  assert.deepEqual(await third.last(1000), confirmed);
  assert.deepEqual(await third.last(3), confirmed.slice(-3));
});

test('what is said in the chat is in the history', async (t) => {
  const broker = await startBroker(t);
  const { last } = await service(application(t, 'history', { AMQP_URL: broker.url, HISTORY_FOLDER: folder(t) }));
  const chat = application(t, 'chat', { AMQP_URL: broker.url })('server.js', { env: { PORT: '0' } });
  const [, url] = await chat.line(/^chat on http(.*)$/);

  const page = new WebSocket(`ws${url}`);
  t.after(() => page.terminate());
  const sent = new Set();
  let up = false;
  page.on('message', (data) => {
    const message = JSON.parse(data);
    if (message.type === 'state') up = message.up;
    if (message.type === 'sent') sent.add(message.id);
  });
  await eventually(() => up, 'the chat is connected');
  const say = (id) => page.send(JSON.stringify({ type: 'say', id, room: 'chat.eu.berlin', name: 'ben', text: id }));
  for (const id of ['one', 'two', 'three']) say(id);
  await eventually(() => sent.size === 3, 'the chat has them confirmed');
  await eventually(async () => (await last(10)).length === 3, 'the history has them');
  assert.deepEqual(await last(10), ['one', 'two', 'three']);
});
