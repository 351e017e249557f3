import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { CONTENT_TYPE, decode, encode, FAILURE } from './json.js';

/** No answer in time. The request may still be done, or have been done. */
export class RequestTimeout extends Error {}
/** There is no queue of that name. The request was not done. */
export class NoReplier extends Error {}
/** The connection went away before the answer came. The request may have been done. */
export class RequestLost extends Error {}
/** The replier's handler threw; the message is the handler's. */
export class RequestFailed extends Error {}

// A queue that stands for "the channel that asked": nothing is declared, nothing is left behind.
const DIRECT_REPLY_TO = 'amq.rabbitmq.reply-to';

/**
 * The asking side: sends requests and matches answers with them by correlation id.
 *
 * `connection` is amqplib's, best one with its option `recovery`: then the channel works again after a broken line.
 * Options:
 * - `replies`: where answers come to. 'direct' (direct reply-to) unless told otherwise; 'queue' for an exclusive reply
 *   queue, which holds more answers than a slow requester can take, and works with any AMQP 0-9-1 broker.
 * - `timeoutMs`: of a request that names none itself; 5000.
 *
 * Events: 'late' (message) for an answer that nobody waits for any more.
 */
export class RequestChannel extends EventEmitter {
  #connection;
  #replies;
  #timeoutMs;
  #waiting = new Map(); // correlation id -> { resolve, reject, timer, channel }
  #opened = null;

  constructor(connection, { replies = 'direct', timeoutMs = 5000 } = {}) {
    super();
    this.#connection = connection;
    this.#replies = replies;
    this.#timeoutMs = timeoutMs;
  }

  /** How many requests wait for their answer. */
  get waiting() {
    return this.#waiting.size;
  }

  /**
   * Asks whoever serves the queue, and settles with the answer. Both are what JSON can tell. Rejects with
   * RequestTimeout, NoReplier, RequestLost or RequestFailed.
   */
  request(queue, body, { timeoutMs = this.#timeoutMs } = {}) {
    const id = randomUUID();
    return new Promise((resolve, reject) => {
      // The time runs from here on, also while the broker is away.
      const timer = setTimeout(
        () => this.#take(id)?.reject(new RequestTimeout(`no answer from '${queue}' in ${timeoutMs} ms`)),
        timeoutMs,
      );
      this.#waiting.set(id, { resolve, reject, timer, channel: null });
      this.#send(id, queue, body, timeoutMs).catch((error) => {
        this.#take(id)?.reject(new RequestLost(error.message, { cause: error }));
      });
    });
  }

  async #send(id, queue, body, timeoutMs) {
    this.#opened ??= this.#open();
    const { channel, address } = await this.#opened;
    const waiting = this.#waiting.get(id);
    if (!waiting) return; // given up meanwhile
    waiting.channel = channel;
    channel.publish('', queue, encode(body), {
      correlationId: id,
      replyTo: address,
      contentType: CONTENT_TYPE,
      // What nobody has taken when we give up need not be done any more.
      expiration: String(Math.ceil(timeoutMs)),
      // Comes back if there is no such queue, so that we need not wait in vain.
      mandatory: true,
    });
  }

  async #open() {
    try {
      const channel = await this.#connection.createChannel();
      channel.on('error', () => {}); // always followed by 'close'
      channel.on('close', () => this.#lose(channel));
      channel.on('return', ({ fields, properties }) => {
        this.#take(properties.correlationId)?.reject(new NoReplier(`there is no queue '${fields.routingKey}'`));
      });
      const address = this.#replies === 'direct' ? DIRECT_REPLY_TO : await replyQueue(channel);
      await channel.consume(address, (answer) => this.#settle(answer), { noAck: true });
      return { channel, address };
    } catch (error) {
      this.#opened = null;
      throw error;
    }
  }

  #settle(answer) {
    const waiting = this.#take(answer.properties.correlationId);
    if (!waiting) this.emit('late', answer);
    else if (answer.properties.type === FAILURE) waiting.reject(new RequestFailed(decode(answer)));
    else waiting.resolve(decode(answer));
  }

  #lose(channel) {
    this.#opened = null; // the next request opens a new one
    for (const [id, waiting] of this.#waiting) {
      if (waiting.channel === channel) this.#take(id).reject(new RequestLost('the channel was closed'));
    }
  }

  #take(id) {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(waiting?.timer);
    return waiting;
  }

  /** Closes the channel, not the connection. Requests that still wait are rejected with RequestLost. */
  async close() {
    const opened = await this.#opened?.catch(() => null);
    await opened?.channel.close();
  }
}

async function replyQueue(channel) {
  const { queue } = await channel.assertQueue('', { exclusive: true, autoDelete: true });
  return queue;
}
