// Runs the three modes through the same accidents, and prints what each has lost and what came twice.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import amqp from 'amqplib';
import { entries } from './ledger.js';
import { LocalBroker } from './local_broker.js';
import { MODES, QUEUE } from './modes.js';

const BURST = 100;
const POLL_MS = 20;

const living = new Set();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

console.log('mode               sent   lost  twice');
for (const mode of Object.keys(MODES)) {
  const { sent, done } = await accidents(mode);
  const times = new Map();
  for (const id of done) times.set(id, (times.get(id) ?? 0) + 1);
  const lost = sent - times.size;
  const twice = [...times.values()].filter((count) => count > 1).length;
  console.log(`${mode.padEnd(16)}${[sent, lost, twice].map((count) => String(count).padStart(7)).join('')}`);
}

/** Sends four bursts of messages with an accident in each. */
async function accidents(mode) {
  const broker = await LocalBroker.start();
  const folder = mkdtempSync(join(tmpdir(), 'delivery-'));
  const ledger = join(folder, 'ledger');
  const consume = (env) => start(['consumer.js', mode, ledger], { AMQP_URL: broker.url, ...env });
  try {
    const producer = start(['producer.js', mode], { AMQP_URL: broker.url });
    const send = () => producer.stdin.write(`${BURST}\n`);

    // The consumer dies with a message in hand that it has done nothing about yet.
    const first = consume({ HOLD: 'before' });
    send();
    await Promise.all([producer.said(`sent ${BURST}`), first.said('holding before the effect')]);
    await first.killed();
    await consumerGone(broker.url);

    // The consumer dies when it has done what the message asks for, and not said so yet.
    const second = consume({ HOLD: 'after' });
    send();
    await Promise.all([producer.said(`sent ${2 * BURST}`), second.said('holding after the effect')]);
    await second.killed();
    await consumerGone(broker.url);

    // The broker dies with messages waiting, and others on their way to it.
    send();
    await producer.said(`sent ${2 * BURST + BURST / 2}`);
    await broker.killAndRestart();
    await producer.said(`sent ${3 * BURST}`);

    // The broker dies while the consumer is at work.
    const third = consume({});
    send();
    await producer.said(`sent ${3 * BURST + BURST / 2}`);
    await broker.killAndRestart();
    await producer.said(`sent ${4 * BURST}`);
    await producer.killed();

    await sendEnd(broker.url);
    await third.ended;
    return { sent: 4 * BURST, done: entries(ledger) };
  } finally {
    for (const child of living) child.kill('SIGKILL');
    await broker.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Settles when the broker has noticed that its consumer is dead. Until then it sends messages that way. */
async function consumerGone(url) {
  const connection = await amqp.connect(url);
  const channel = await connection.createChannel();
  while ((await channel.checkQueue(QUEUE)).consumerCount > 0) await pause(POLL_MS);
  await connection.close();
}

/** What comes after all other messages: the consumer ends when it gets it. Safe in every mode. */
async function sendEnd(url) {
  const connection = await amqp.connect(url);
  const channel = await connection.createConfirmChannel();
  channel.sendToQueue(QUEUE, Buffer.alloc(0), { type: 'end', persistent: true });
  await channel.waitForConfirms();
  await connection.close();
}

/** A process of this folder; said(line) settles when it has written that line. */
function start(args, env) {
  const cwd = import.meta.dirname;
  const child = spawn(process.execPath, args, { cwd, env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'ignore'] });
  living.add(child);
  const lines = new Set();
  const waiting = new Map();
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.add(line);
    waiting.get(line)?.();
  });
  child.said = (line) => new Promise((resolve) => (lines.has(line) ? resolve() : waiting.set(line, resolve)));
  child.ended = new Promise((resolve) => child.once('close', resolve)).then(() => living.delete(child));
  child.killed = () => {
    child.kill('SIGKILL');
    return child.ended;
  };
  return child;
}
