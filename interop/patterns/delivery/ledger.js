// What the consumer has done: its effect on the world is a line in a file.

import { appendFileSync, existsSync, readFileSync } from 'node:fs';

export class Ledger {
  #file;
  #ids;

  constructor(file) {
    this.#file = file;
    this.#ids = new Set(entries(file));
  }

  has(id) {
    return this.#ids.has(id);
  }

  /**
   * The effect, and the memory of it, in one write: that is the whole trick. With two, a crash between them would leave
   * an effect that nobody remembers, or the memory of an effect that never was. In a database: one transaction.
   */
  add(id) {
    appendFileSync(this.#file, `${id}\n`);
    this.#ids.add(id);
  }
}

/** The ids of all effects, in order. */
export function entries(file) {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
}
