// The processes of a test: a broker at an address that it keeps, and the programs of an application.

import { spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { LocalBroker } from '../delivery/local_broker.js';

const DEADLINE_MS = 60_000;
const POLL_MS = 20;

// However this process ends, its children must not outlive it. A test file out of time is ended by SIGTERM.
const living = new Set();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});
process.once('SIGTERM', () => process.exit(143));

/** Polls until `holds` says true. */
export async function eventually(holds, what) {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`);
    await pause(POLL_MS);
  }
}

/** A broker of the test's own, found at the same address after it was killed and launched again. */
export async function startBroker(t) {
  const broker = await LocalBroker.start();
  t.after(() => broker.remove());
  return broker;
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
