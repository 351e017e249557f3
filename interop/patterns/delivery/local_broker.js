// A broker on this machine that can be killed and launched again: same data folder, same address.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const START_MS = 60_000;
const POLL_MS = 20;

const living = new Set();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

export class LocalBroker {
  #folder = mkdtempSync(join(tmpdir(), 'local-broker-'));
  #address;
  #child;
  url;

  /** The program is named by the variable LEVERET_BIN; without it, `leveret` of the PATH. */
  static async start() {
    const broker = new LocalBroker();
    broker.#address = `127.0.0.1:${await freePort()}`;
    broker.url = `amqp://guest:guest@${broker.#address}`;
    try {
      await broker.launch();
    } catch (error) {
      await broker.remove();
      throw error;
    }
    return broker;
  }

  /** Settles when clients can connect. */
  async launch() {
    const ready = join(this.#folder, 'addresses.json');
    rmSync(ready, { force: true });
    const log = openSync(join(this.#folder, 'log'), 'a');
    const program = process.env.LEVERET_BIN ?? 'leveret';
    const options = ['--listen', this.#address, '--metrics-listen', 'none', '--addresses-file', ready];
    const child = spawn(program, ['serve', ...options, '--data-dir', join(this.#folder, 'data')], {
      stdio: ['ignore', log, log],
    });
    let failure = null;
    child.once('error', (error) => {
      failure = error;
      living.delete(child);
    });
    this.#child = child;
    living.add(child);
    child.once('close', () => living.delete(child));
    for (const deadline = Date.now() + START_MS; !existsSync(ready); await pause(POLL_MS)) {
      if (failure) throw new Error(`${program} cannot be started (LEVERET_BIN names the broker): ${failure.message}`);
      if (child.exitCode !== null) throw new Error(`the broker ended:\n${readFileSync(join(this.#folder, 'log'))}`);
      if (Date.now() > deadline) throw new Error(`the broker was not ready within ${START_MS} ms`);
    }
  }

  get pid() {
    return this.#child.pid;
  }

  /** kill -9, unless another signal is named. */
  async kill(signal = 'SIGKILL') {
    if (!living.has(this.#child)) return;
    const ended = new Promise((resolve) => this.#child.once('close', resolve));
    this.#child.kill(signal);
    await ended;
  }

  async killAndRestart() {
    await this.kill();
    await this.launch();
  }

  /** Kills it and deletes its folder. */
  async remove() {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
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
