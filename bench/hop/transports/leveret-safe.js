// Through a broker that answers for every message: persistent, in a durable queue, confirmed when it is on the disk, and
// acknowledged by the receiver.

import amqp from 'amqplib';
import { Window } from '../window.js';

const QUEUE = 'hop.safe';
const PREFETCH = 1000;
const ACK_EVERY = 100;

export async function openSender(address) {
  const connection = await amqp.connect(address, { noDelay: true });
  const channel = await connection.createConfirmChannel();
  const window = new Window();
  return {
    async send(body) {
      await window.enter();
      channel.publish('', QUEUE, body, { persistent: true }, () => window.leave());
    },
    async close() {
      await window.empty();
      await connection.close();
    },
  };
}

export async function openReceiver(address, take) {
  const connection = await amqp.connect(address, { noDelay: true });
  const channel = await connection.createChannel();
  await channel.assertQueue(QUEUE, { durable: true });
  await channel.purgeQueue(QUEUE);
  await channel.prefetch(PREFETCH);
  let count = 0;
  await channel.consume(QUEUE, (message) => {
    take(message.content);
    if (++count % ACK_EVERY === 0) channel.ack(message, true);
  });
}
