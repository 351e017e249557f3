// One hop from a sending process to a receiving one, by four ways, in rounds that take turns. Prints a table in Markdown
// with the best of the rounds, as a round can only be disturbed for the worse. README.md says what the columns mean.
//   node measure.js [ROUNDS]

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { createInterface } from 'node:readline';
import { freePort, LocalBroker } from '../../interop/patterns/delivery/local_broker.js';

const rounds = Number(process.argv[2] ?? 9);
const LATENCY = { count: 3000, size: 100, gapMs: 1 };
const THROUGHPUT = [
  { count: 100_000, size: 100, gapMs: 0 },
  { count: 20_000, size: 10_000, gapMs: 0 },
];
const TICK_MICROS = 10_000; // of /proc/PID/stat: a hundredth of a second on Linux

const living = new Set();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

function start(program, args) {
  const child = spawn(program, args, { cwd: import.meta.dirname, stdio: ['pipe', 'pipe', 'inherit'] });
  living.add(child);
  child.once('close', () => living.delete(child));
  child.lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return child;
}

async function startRedis() {
  const port = await freePort();
  const options = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'].map(String);
  const redis = start('redis-server', options);
  for (;;) {
    const { value, done } = await redis.lines.next();
    if (done) throw new Error('redis-server ended');
    if (/Ready to accept connections/.test(value)) return { address: `redis://127.0.0.1:${port}`, pid: redis.pid };
  }
}

/** User and system time of a process since its start. */
function cpuMicros(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MICROS;
}

async function hop({ name, address, pid }, { count, size, gapMs }) {
  const before = pid ? cpuMicros(pid) : 0;
  const receiver = start(process.execPath, ['receiver.js', name, address, count]);
  await receiver.lines.next(); // ready
  const sender = start(process.execPath, ['sender.js', name, address, count, size, gapMs]);
  const sent = JSON.parse((await sender.lines.next()).value);
  receiver.stdin.on('error', () => {}); // it may have all by now, and be gone
  receiver.stdin.write('\n');
  const seen = JSON.parse((await receiver.lines.next()).value);
  if (living.has(receiver)) await once(receiver, 'close');
  const clients = sent.cpuMicros + seen.cpuMicros;
  const between = pid ? cpuMicros(pid) - before : 0;
  return { ...seen, lost: count - seen.received, cpuPerMessage: (clients + between) / count, between: between / count };
}

const best = { p50: Math.min, p99: Math.min, perSecond: Math.max, cpuPerMessage: Math.min, between: Math.min };
const number = (value) => (value >= 1000 ? Math.round(value).toLocaleString('en') : value.toPrecision(3));

const [broker, redis, port] = [await LocalBroker.start(), await startRedis(), await freePort()];
const ways = [
  { title: 'ZeroMQ push/pull', name: 'zeromq', address: `tcp://127.0.0.1:${port}` },
  { title: 'Redis pub/sub', name: 'redis', ...redis },
  { title: 'Leveret, transient', name: 'leveret', address: broker.url, pid: broker.pid },
  { title: 'Leveret, persistent, confirmed, acknowledged', name: 'leveret-safe', address: broker.url, pid: broker.pid },
];
const results = new Map(ways.map((way) => [way, [LATENCY, ...THROUGHPUT].map(() => [])]));
for (let round = 1; round <= rounds; round++) {
  for (const [way, loads] of results) {
    for (const [at, load] of [LATENCY, ...THROUGHPUT].entries()) loads[at].push(await hop(way, load));
  }
  const [load] = loadavg();
  console.error(`round ${round} of ${rounds} done; load ${load.toFixed(1)} on ${availableParallelism()} cores`);
}

const cpu = ['µs CPU', 'of it between'];
console.log(`| ${['way', 'p50 µs', 'p99 µs', '100 B: messages/s', ...cpu, '10 kB: messages/s', ...cpu, 'lost'].join(' | ')} |`);
console.log('|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|');
for (const [{ title }, [latency, ...throughput]] of results) {
  const figure = (runs, key) => number(best[key](...runs.map((run) => run[key])));
  const loads = throughput.flatMap((runs) => ['perSecond', 'cpuPerMessage', 'between'].map((key) => figure(runs, key)));
  const lost = [latency, ...throughput].flat().reduce((sum, run) => sum + run.lost, 0);
  console.log(`| ${[title, figure(latency, 'p50'), figure(latency, 'p99'), ...loads, lost].join(' | ')} |`);
}
await broker.remove();
process.exit();
