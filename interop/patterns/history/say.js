// Says each line of standard input in a room of the chat, and prints it when the broker has confirmed it:
//   node say.js chat.lobby ann

import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { connect, publishUntilConfirmed } from './broker.js';

const [room = 'chat.lobby', name = 'guest'] = process.argv.slice(2);

let channel;
const connection = await connect(async (model) => {
  channel = await model.createConfirmChannel();
  await channel.assertExchange('chat', 'topic');
});
await connection.waitForConnect();

for await (const text of createInterface({ input: process.stdin })) {
  const id = randomUUID();
  const content = Buffer.from(JSON.stringify({ id, room, name, text, at: Date.now() }));
  const properties = { persistent: true, messageId: id, contentType: 'application/json' };
  await publishUntilConfirmed(() => channel, 'chat', room, content, properties);
  console.log(`confirmed ${id} ${text}`);
}
await connection.close();
