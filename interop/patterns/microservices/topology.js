// What stands between the two services.
//
//   orders -> shipping.commands -> shipping -> shop.events (topic) -> orders.events -> orders
//              ^             |         |
//              |    refused  v         v  failed
//              |   shipping.dead    shipping.retry.200ms, .1000ms, .5000ms
//              |                       |  the TTL is over
//              +-----------------------+

export const COMMANDS = 'shipping.commands';
export const DEAD = 'shipping.dead';
export const EVENTS = 'shop.events';
export const ORDER_EVENTS = 'orders.events';

/** How long a command waits before it is tried again: the first time, the second time, and so on. */
export const backOffMs = (process.env.BACK_OFF_MS ?? '200,1000,5000').split(',').map(Number);

// The time is part of the name: a queue's TTL cannot be changed, so another time is another queue.
export const retryQueue = (delayMs) => `shipping.retry.${delayMs}ms`;

/** Either service may be the first to come, so either declares all of it. */
export async function declareTopology(channel) {
  await channel.assertExchange(EVENTS, 'topic');
  await channel.assertQueue(DEAD, { durable: true });
  await channel.assertQueue(COMMANDS, {
    durable: true,
    deadLetterExchange: '',
    deadLetterRoutingKey: DEAD,
    arguments: {
      // A quorum queue counts how often a message came back, so that one at which the service dies each time comes
      // to an end as well.
      'x-queue-type': 'quorum',
      'x-delivery-limit': 3,
    },
  });
  for (const delayMs of backOffMs) {
    await channel.assertQueue(retryQueue(delayMs), {
      durable: true,
      messageTtl: delayMs,
      deadLetterExchange: '',
      deadLetterRoutingKey: COMMANDS,
    });
  }
  await channel.assertQueue(ORDER_EVENTS, { durable: true });
  await channel.bindQueue(ORDER_EVENTS, EVENTS, 'order.*');
}

export const encode = (value) => Buffer.from(JSON.stringify(value));
export const decode = ({ content }) => JSON.parse(content);
