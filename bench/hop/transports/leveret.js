// Through a broker with as little ceremony as AMQP allows: nothing confirmed, nothing acknowledged, nothing on the disk.

import { once } from 'node:events';
import amqp from 'amqplib';

const QUEUE = 'hop';

export async function openSender(address) {
  const connection = await amqp.connect(address, { noDelay: true });
  const channel = await connection.createChannel();
  return {
    async send(body) {
      if (!channel.publish('', QUEUE, body)) await once(channel, 'drain');
    },
    async close() {
      // The channel first: closing the connection would overtake what the channel has not written yet.
      await channel.close();
      await connection.close();
    },
  };
}

export async function openReceiver(address, take) {
  const connection = await amqp.connect(address, { noDelay: true });
  const channel = await connection.createChannel();
  await channel.assertQueue(QUEUE, { durable: false, autoDelete: true });
  await channel.consume(QUEUE, ({ content }) => take(content), { noAck: true });
}
