// The processes of a test: a broker at an address that it keeps, and the programs of an application.

import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import amqplib from '../../amqplib/broker_process.js';
import { eventually as poll } from '../../amqplib/eventually.js';

const DEADLINE_MS = 60_000;

// However this process ends, its children must not outlive it.
const living = new Set();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

/** Polls until `holds` says true. */
export const eventually = (holds, what) => poll(holds, what, DEADLINE_MS);

/** A broker that can be killed and launched again, and is found at the same address then. */
export async function startBroker(t) {
  return amqplib.BrokerProcess.start(t, { listen: `127.0.0.1:${await freePort()}` });
}

/**
 * A port that nobody listens on. Below those that the system gives to outgoing connections: one of these could take
 * the place of a broker while it is down.
 */
export async function freePort() {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    if (await isFree(port)) return port;
  }
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** Starts programs of one application: run('worker.js', { env, args }). All are killed after the test. */
export function application(t, folder, commonEnv = {}) {
  const cwd = fileURLToPath(new URL(`../${folder}/`, import.meta.url));
  return (program, { env = {}, args = [] } = {}) => new Program(t, cwd, program, args, { ...commonEnv, ...env });
}

class Program {
  #name;
  #child;
  #ended;
  #pieces = { stdout: '', stderr: '' };
  /** What it has written so far, line by line, errors too. */
  lines = [];

  constructor(t, cwd, program, args, env) {
    this.#name = [program, ...args].join(' ');
    this.#child = spawn(process.execPath, [program, ...args], { cwd, env: { ...process.env, ...env } });
    living.add(this.#child);
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => {
        living.delete(this.#child);
        resolve(code ?? signal);
      });
    });
    for (const stream of ['stdout', 'stderr']) {
      this.#child[stream].setEncoding('utf8').on('data', (text) => this.#take(stream, text));
    }
    t.after(() => this.kill());
  }

  #take(stream, text) {
    const lines = (this.#pieces[stream] + text).split('\n');
    this.#pieces[stream] = lines.pop();
    this.lines.push(...lines);
  }

  /** Waits for a line and returns its match: the first one, or the `nth`. */
  async line(pattern, nth = 1) {
    let matches = [];
    const said = () => {
      matches = this.lines.map((line) => line.match(pattern)).filter(Boolean);
      return matches.length >= nth;
    };
    await eventually(() => said() || this.#gone(), `${this.#name} says ${pattern}`).catch((error) => this.#fail(error));
    if (!said()) this.#fail(new Error(`${this.#name} ended and did not say ${pattern}`));
    return matches[nth - 1];
  }

  #gone() {
    return !living.has(this.#child);
  }

  #fail(error) {
    error.message += `\n--- ${this.#name}\n${this.lines.slice(-30).join('\n')}`;
    throw error;
  }

  write(text) {
    this.#child.stdin.write(text);
  }

  /** Stops it where it stands, without its knowing; `cont` lets it go on. */
  signal(signal) {
    this.#child.kill(signal);
  }

  /** kill -9, unless another signal is named; settles when it is gone. */
  kill(signal = 'SIGKILL') {
    this.#child.kill(signal);
    return this.#ended;
  }

  /** Its exit code, or the signal that ended it. */
  ended() {
    return this.#ended;
  }
}
