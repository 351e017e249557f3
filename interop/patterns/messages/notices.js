// Listens to events: whatever happens to orders, and everything that happens in Germany. No sender knows of it.

import { receive } from './receiver.js';

await receive(
  'notices',
  [
    { kind: 'event', key: 'order.#' },
    { kind: 'event', key: '#.de' },
  ],
  {
    '*': (body, { fields, properties }) => {
      console.log(`event ${properties.type} (${fields.routingKey}): ${body.order ?? body.visitor}`);
    },
  },
);
