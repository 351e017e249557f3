import { EventEmitter, once } from 'node:events';
import { CONTENT_TYPE, decode, encode, FAILURE } from './json.js';

/**
 * The answering side: serves a queue of requests. Start several, in as many processes as are needed: they share the
 * queue.
 *
 * `handler(body, message)` returns the answer or a promise of it; what it throws goes to the requester. A request whose
 * replier dies before it has answered goes to another replier, so a handler can see it twice (`message.fields.redelivered`).
 *
 * With a connection that has amqplib's option `recovery`, it serves again after a broken line.
 *
 * Events: 'open' whenever it has begun to serve; 'error' if the broker closes the channel for a fault,
 * or the queue was deleted.
 */
export class ReplyChannel extends EventEmitter {
  #connection;
  #queue;
  #handler;
  #prefetch;
  #channel = null;
  #consumerTag = null;
  #opening = false;
  #running = new Set();
  // If the line breaks again meanwhile, the next 'connect' comes here again; a fault is told by 'error'.
  #serveAgain = () => this.#serve().catch(() => {});

  /** Settles when it serves. Option `prefetch`: how many requests are handled at the same time; 10. */
  static async open(connection, queue, handler, { prefetch = 10 } = {}) {
    const replies = new ReplyChannel();
    replies.#connection = connection;
    replies.#queue = queue;
    replies.#handler = handler;
    replies.#prefetch = prefetch;
    connection.on('connect', replies.#serveAgain);
    try {
      await replies.#serve();
    } catch (error) {
      if (!connection.waitForConnect) throw error;
      await once(replies, 'open'); // a recovering connection comes back
    }
    return replies;
  }

  async #serve() {
    if (this.#opening) return;
    this.#opening = true;
    try {
      const channel = await this.#connection.createChannel();
      channel.on('error', (error) => this.emit('error', error));
      await channel.assertQueue(this.#queue, { durable: true });
      await channel.prefetch(this.#prefetch);
      const { consumerTag } = await channel.consume(this.#queue, (request) => this.#take(channel, request));
      [this.#channel, this.#consumerTag] = [channel, consumerTag];
      this.emit('open');
    } finally {
      this.#opening = false;
    }
  }

  #take(channel, request) {
    if (request === null) {
      this.emit('error', new Error(`the queue '${this.#queue}' was deleted`));
      return;
    }
    const running = this.#answer(channel, request).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #answer(channel, request) {
    const { correlationId, replyTo } = request.properties;
    const answer = { correlationId, contentType: CONTENT_TYPE };
    let body;
    try {
      body = await this.#handler(decode(request), request);
    } catch (error) {
      [answer.type, body] = [FAILURE, error.message];
    }
    try {
      // To the default exchange: the return address is the name of a queue, or stands for a channel of the broker.
      if (replyTo) channel.publish('', replyTo, encode(body), answer);
      // After the answer: should we die in between, another answers again, and the requester ignores the second.
      channel.ack(request);
    } catch {
      // The channel is gone, and the request goes to another.
    }
  }

  /** Takes no more requests, answers those that it has, and closes the channel, not the connection. */
  async close() {
    this.#connection.off('connect', this.#serveAgain);
    await this.#channel.cancel(this.#consumerTag);
    await Promise.all(this.#running);
    await this.#channel.close();
  }
}
