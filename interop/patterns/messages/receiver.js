// What the receivers share: a durable queue, its bindings, and a handler for each type of message.

import { connect } from './broker.js';
import { declareExchanges, decode, encode, KINDS } from './message.js';

/**
 * Receives for ever. `bindings` says which messages, each as { kind, key } or { kind, headers }; `handlers` has a
 * function for each type: handler(body, message, channel). What it returns is the answer to a message that asks for one.
 */
export async function receive(queue, bindings, handlers) {
  const connection = await connect(async (model) => {
    const channel = await model.createConfirmChannel();
    await declareExchanges(channel);
    await channel.assertQueue(queue, { durable: true });
    for (const { kind, key = '', headers } of bindings) {
      await channel.bindQueue(queue, KINDS[kind].exchange, key, headers);
    }
    await channel.prefetch(10);
    await channel.consume(queue, (message) => take(channel, handlers, message));
  });
  connection.on('connect', () => console.log(`${queue} ready`));
}

async function take(channel, handlers, message) {
  const { type, replyTo, correlationId } = message.properties;
  try {
    const handler = handlers[type] ?? handlers['*'];
    if (!handler) throw new Error(`type ${type} is not understood`);
    const answer = await handler(decode(message), message, channel);
    if (replyTo) {
      const properties = { type: `${type}.answer`, contentType: 'application/json', correlationId };
      channel.publish('', replyTo, encode('application/json', answer ?? null), properties);
    }
    channel.ack(message);
  } catch (error) {
    refuse(channel, message, error);
  }
}

function refuse(channel, message, error) {
  try {
    // Without asking for it back: it would fail again. A dead letter exchange could keep it (see ../microservices).
    channel.reject(message, false);
    console.log(`refused ${message.properties.messageId}: ${error.message}`);
  } catch {
    // The channel is gone: the broker delivers the message again.
  }
}
