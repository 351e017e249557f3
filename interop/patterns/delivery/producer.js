// Sends numbered messages: for each line of standard input, as many as it says.
//   node producer.js MODE

import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { connect, publishUntilConfirmed } from './broker.js';
import { declareQueue, modeNamed, QUEUE } from './modes.js';

const { confirm } = modeNamed(process.argv[2]);

let channel;
const connection = await connect(async (model) => {
  channel = confirm ? await model.createConfirmChannel() : await model.createChannel();
  await declareQueue(channel);
});
await connection.waitForConnect();

const content = Buffer.from('a message');
let sent = 0;
for await (const count of createInterface({ input: process.stdin })) {
  for (const end = sent + Number(count); sent < end; ) {
    const messageId = String(sent++);
    if (confirm) await publishUntilConfirmed(() => channel, '', QUEUE, content, { messageId, persistent: true });
    else await fireAndForget(messageId);
    console.log(`sent ${sent}`);
  }
}
await connection.close();

async function fireAndForget(messageId) {
  try {
    channel.publish('', QUEUE, content, { messageId });
  } catch {
    // The broker is away. That is the deal.
  }
  await pause(1); // or all would be over before anything can go wrong
}
