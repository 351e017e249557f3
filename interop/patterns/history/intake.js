// From deliveries to the store. It writes what has come since the last write in one go, and acknowledges it together:
// the busier the chat is, the fewer writes a message costs.

import { randomUUID } from 'node:crypto';

/** One channel's deliveries; a new channel needs a new intake, as delivery tags are the channel's own. */
export class Intake {
  #channel;
  #store;
  #waiting = [];
  #writing = false;

  constructor(channel, store) {
    this.#channel = channel;
    this.#store = store;
  }

  async take(delivery) {
    this.#waiting.push(delivery);
    if (this.#writing) return;
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      await this.#store.add(batch.map(message));
      // On the disk first, acknowledged then: the other way round, a crash between the two would lose the batch.
      this.#acknowledge(batch.at(-1));
    }
    this.#writing = false;
  }

  #acknowledge(last) {
    try {
      this.#channel.ack(last, true);
    } catch {
      // The channel is gone: the batch will be delivered again, and be recognised by its ids.
    }
  }
}

function message({ fields, properties, content }) {
  return {
    id: properties.messageId ?? randomUUID(),
    room: fields.routingKey,
    type: properties.contentType,
    body: content.toString(),
  };
}
