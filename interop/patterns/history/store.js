// Every message of the chat, in the order in which it came, in an embedded store (LevelDB).

import { ClassicLevel } from 'classic-level';

// LevelDB sorts keys as text.
const key = (sequence) => String(sequence).padStart(15, '0');

export class MessageStore {
  #db;
  #messages; // key(sequence) -> message
  #ids; // message id -> key(sequence)
  #next = 0;

  static async open(folder) {
    const store = new MessageStore();
    store.#db = new ClassicLevel(folder, { valueEncoding: 'json' });
    store.#messages = store.#db.sublevel('messages', { valueEncoding: 'json' });
    store.#ids = store.#db.sublevel('ids');
    await store.#db.open();
    for await (const last of store.#messages.keys({ reverse: true, limit: 1 })) store.#next = Number(last) + 1;
    return store;
  }

  /**
   * Adds messages in this order, each with an `id`, and returns when they are on the disk. One that is there already is
   * left as it is: after a crash the broker delivers again what had been stored and not acknowledged.
   */
  async add(messages) {
    const known = await this.#ids.getMany(messages.map(({ id }) => id));
    const added = new Map();
    messages.forEach((message, at) => {
      if (known[at] === undefined && !added.has(message.id)) added.set(message.id, message);
    });
    const puts = [...added.values()].flatMap((message) => {
      const sequence = key(this.#next++);
      return [
        { type: 'put', sublevel: this.#messages, key: sequence, value: message },
        { type: 'put', sublevel: this.#ids, key: message.id, value: sequence },
      ];
    });
    // All or nothing, so that message and id cannot part.
    await this.#db.batch(puts, { sync: true });
  }

  /** The last `count` messages, the oldest of them first. */
  async last(count) {
    const messages = await this.#messages.values({ reverse: true, limit: count }).all();
    return messages.reverse();
  }
}
