// What the two relays through the broker share: each instance has one queue of its own on a common exchange.

import { EventEmitter } from 'node:events';
import { connect, publish } from '../broker.js';

/** Events: 'message' for each message of the chat, the instance's own too; 'state' when `up` has changed. */
export class BrokerRelay extends EventEmitter {
  up = false;
  #exchange;
  #type;
  #channel = null;
  #queue = null;

  constructor(exchange, type) {
    super();
    this.#exchange = exchange;
    this.#type = type;
  }

  async open() {
    const connection = await connect((model) => this.#setUp(model));
    connection.on('connect', () => this.#turn(true));
    connection.on('disconnect', () => {
      this.#channel = null;
      this.#turn(false);
    });
  }

  async #setUp(model) {
    const channel = await model.createConfirmChannel();
    await channel.assertExchange(this.#exchange, this.#type);
    // The broker names the queue: after a broken line the old queue, exclusive to the old connection, may still be
    // there for a moment, and its name would be refused to us.
    const { queue } = await channel.assertQueue('', { exclusive: true });
    // From here on bind() binds; keys() is a living list, so that no key falls between the two.
    [this.#channel, this.#queue] = [channel, queue];
    for (const key of this.keys()) await channel.bindQueue(queue, this.#exchange, key);
    // No acknowledgements: what this instance does not get in its lifetime is of no use to it later.
    await channel.consume(queue, ({ content }) => this.emit('message', JSON.parse(content)), { noAck: true });
  }

  /** The binding keys of this instance's queue. */
  keys() {
    return [];
  }

  // While the broker is away, there is nothing to be done: with the new queue come all bindings that keys() names then.
  async bind(key) {
    await this.#channel?.bindQueue(this.#queue, this.#exchange, key).catch(() => {});
  }

  async unbind(key) {
    await this.#channel?.unbindQueue(this.#queue, this.#exchange, key).catch(() => {});
  }

  /** Settled when the broker has confirmed the message: it is in the queue of every instance, and of the history. */
  async publish(message) {
    if (!this.#channel) throw new Error('the broker is away');
    // Persistent for the sake of durable queues on this exchange, such as that of the history service.
    await publish(this.#channel, this.#exchange, message.room, Buffer.from(JSON.stringify(message)), {
      persistent: true,
      messageId: message.id,
      contentType: 'application/json',
    });
  }

  #turn(up) {
    this.up = up;
    this.emit('state');
  }
}
