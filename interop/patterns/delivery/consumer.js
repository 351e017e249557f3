// Does what each message asks for: an entry in the ledger.
//   node consumer.js MODE LEDGER
// It can be made to stand still in the 30th message, to be killed at the worst moment: HOLD=before its effect, or
// HOLD=after the effect and before the acknowledgement.

import { connect } from './broker.js';
import { Ledger } from './ledger.js';
import { declareQueue, modeNamed, QUEUE } from './modes.js';

const HOLD_AT = 30;

const { acknowledge, recognise } = modeNamed(process.argv[2]);
const ledger = new Ledger(process.argv[3]);
let handled = 0;
let holding = false;

const connection = await connect(async (model) => {
  const channel = await model.createChannel();
  await declareQueue(channel);
  await channel.prefetch(20);
  await channel.consume(QUEUE, (delivery) => handle(channel, delivery), { noAck: !acknowledge });
});

function handle(channel, delivery) {
  if (holding) return;
  const { messageId, type } = delivery.properties;
  handled++;
  if (hold('before')) return;
  if (type !== 'end' && !(recognise && ledger.has(messageId))) ledger.add(messageId);
  if (hold('after')) return;
  if (acknowledge) settle(channel, delivery);
  if (type === 'end') connection.close();
}

function hold(moment) {
  holding = process.env.HOLD === moment && handled === HOLD_AT;
  if (holding) console.log(`holding ${moment} the effect`);
  return holding;
}

function settle(channel, delivery) {
  try {
    channel.ack(delivery);
  } catch {
    // The broker is gone, and with it what it knew of this delivery: it will deliver again.
  }
}
