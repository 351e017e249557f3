// Carries out commands. A command has one addressee, and may ask for an answer.

import { randomUUID } from 'node:crypto';
import { publish } from './broker.js';
import { encode } from './message.js';
import { receive } from './receiver.js';

const stock = { book: 3, lamp: 0 };

await receive('warehouse', [{ kind: 'command', key: 'warehouse' }], {
  // Request/reply: the sender waits for what we say.
  'stock.query': ({ article }) => ({ article, inStock: stock[article] ?? 0 }),

  // One-way: the sender does not wait. What came of it is told as an event, to whoever it may concern.
  'order.pack': async ({ order, article, country }, _message, channel) => {
    console.log(`packed ${order}: ${article}`);
    // Confirmed before the command is acknowledged, so that there is no moment in which neither is in the broker.
    await publish(channel, 'events', `order.packed.${country}`, encode('application/json', { order, article }), {
      type: 'order.packed',
      contentType: 'application/json',
      messageId: randomUUID(),
      persistent: true,
    });
  },
});
