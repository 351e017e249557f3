'use strict';
// Deliveries in the order they came, so that a test can wait for the next one, or for silence.

const assert = require('node:assert/strict');

const TIMEOUT_MS = 5000;
// Long enough for a wrong delivery to arrive over loopback, short enough to be paid in many tests.
const SILENCE_MS = 150;

class Inbox {
  #waiting = [];
  #messages = [];
  /** Every delivery so far, taken or not; null stands for a cancel by the broker. */
  received = [];

  put(message) {
    this.received.push(message);
    const waiter = this.#waiting.shift();
    if (waiter) waiter(message);
    else this.#messages.push(message);
  }

  async next(timeoutMs = TIMEOUT_MS) {
    if (this.#messages.length > 0) return this.#messages.shift();
    return new Promise((resolve, reject) => {
      const waiter = (message) => {
        clearTimeout(timer);
        resolve(message);
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(new Error(`no delivery within ${timeoutMs} ms`));
      }, timeoutMs);
      this.#waiting.push(waiter);
    });
  }

  async take(count) {
    const taken = [];
    while (taken.length < count) taken.push(await this.next());
    return taken;
  }

  /** The next `count` bodies as strings. */
  async bodies(count) {
    return (await this.take(count)).map((message) => message.content.toString());
  }

  async silence(ms = SILENCE_MS) {
    await new Promise((resolve) => setTimeout(resolve, ms));
    assert.deepEqual(
      this.#messages.map((message) => message && message.content.toString()),
      [],
      'expected no further delivery',
    );
  }
}

module.exports = { Inbox };
