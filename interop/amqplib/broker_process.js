'use strict';
// A broker of the test's own, on a data folder of its own, to be killed and started again.

const { spawn } = require('node:child_process');
const { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { eventually } = require('./session');

const START_MS = 30_000;

/** For test(): skips a scenario that needs a broker process when there is none to start. */
const needsBroker = process.env.LEVERET_BIN ? {} : { skip: 'LEVERET_BIN names no broker to kill and restart' };

// A test file that runs out of time is ended by SIGTERM, past every after(): its brokers must not outlive it.
const running = new Set();
process.once('SIGTERM', () => {
  for (const child of running) child.kill('SIGKILL');
  process.exit(143);
});

class BrokerProcess {
  #folder = mkdtempSync(join(tmpdir(), 'interop-amqplib-'));
  #child;
  #options;
  #environment;
  url;
  /** host:port of the listener with TLS, if the options ask for one. */
  encrypted;

  constructor(options, environment) {
    this.#options = options;
    this.#environment = { ...process.env, ...environment };
  }

  static async start(t, options = [], environment = {}) {
    const broker = new BrokerProcess(options, environment);
    t.after(async () => {
      await broker.kill();
      rmSync(broker.#folder, { recursive: true, force: true });
    });
    await broker.#launch();
    return broker;
  }

  async #launch() {
    const addresses = join(this.#folder, 'addresses.json');
    rmSync(addresses, { force: true });
    const log = openSync(join(this.#folder, 'log'), 'a');
    const args = ['serve', '--listen', '127.0.0.1:0', '--metrics-listen', '127.0.0.1:0'];
    args.push('--data-dir', join(this.#folder, 'data'), '--addresses-file', addresses, ...this.#options);
    const stdio = ['ignore', log, log];
    this.#child = spawn(process.env.LEVERET_BIN, args, { env: this.#environment, stdio });
    closeSync(log);
    const child = this.#child;
    running.add(child);
    child.once('exit', () => running.delete(child));
    await eventually(
      () => {
        if (this.#child.exitCode !== null) {
          throw new Error(`the broker ended early:\n${readFileSync(join(this.#folder, 'log'), 'utf8')}`);
        }
        return existsSync(addresses);
      },
      'the broker writes its addresses file',
      START_MS,
    );
    const { amqp, amqps } = JSON.parse(readFileSync(addresses, 'utf8'));
    this.encrypted = amqps?.[0];
    this.url = `amqp://guest:guest@${amqp[0]}/%2F`;
  }

  /** kill -9: no chance to say goodbye or to write anything down. */
  kill() {
    return this.#end('SIGKILL');
  }

  async #end(signal) {
    if (!this.#child || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill(signal);
    await ended;
  }

  async killAndRestart() {
    await this.kill();
    await this.#launch();
  }

  async stopAndRestart() {
    await this.#end('SIGTERM');
    await this.#launch();
  }
}

module.exports = { BrokerProcess, needsBroker };
