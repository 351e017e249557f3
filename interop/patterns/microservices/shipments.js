// How the orders service has something shipped: by calling the shipping service, or through the broker.
//
// Both give { ask(order) }, which settles when the order is in safe hands, and call `told` with { order, status } when
// it is 'shipped' or 'failed'.

import { connect, publish } from './broker.js';
import { COMMANDS, declareTopology, decode, encode, ORDER_EVENTS } from './topology.js';

const shippingUrl = process.env.SHIPPING_URL ?? 'http://127.0.0.1:4002';
const CALL_MS = 10_000;

export const openShipments = process.env.INTEGRATION === 'direct' ? openDirect : openBroker;

/** Safe only when it is done: the shipping service must be there now, and the customer waits for it. */
async function openDirect(told) {
  return {
    async ask(order) {
      const answer = await fetch(`${shippingUrl}/shipments`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(order),
        signal: AbortSignal.timeout(CALL_MS),
      });
      if (!answer.ok) throw new Error(`shipping says ${answer.status}`);
      told(await answer.json());
    },
  };
}

/** Safe as soon as the broker has it: the shipping service does it when it can, and tells by an event. */
async function openBroker(told) {
  let channel;
  const connection = await connect(async (model) => {
    channel = await model.createConfirmChannel();
    await declareTopology(channel);
    await channel.consume(ORDER_EVENTS, (event) => {
      told(decode(event));
      channel.ack(event);
    });
  });
  connection.on('connect', () => console.log('orders connected'));
  return {
    async ask(order) {
      if (!channel) throw new Error('the broker is away');
      const properties = { type: 'ship', messageId: order.order, contentType: 'application/json', persistent: true };
      await publish(channel, '', COMMANDS, encode(order), properties);
    },
  };
}
