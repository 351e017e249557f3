// Shows what lies in the dead letter queue, and why:
//   node dead_letters.js            node dead_letters.js again: sends all of it back to be tried once more

import { connect, publish } from './broker.js';
import { COMMANDS, DEAD, declareTopology } from './topology.js';

const again = process.argv[2] === 'again';

const connection = await connect();
const channel = await connection.createConfirmChannel();
await declareTopology(channel);
let count = 0;
for (let letter; (letter = await channel.get(DEAD)); count++) {
  const { headers, ...properties } = letter.properties;
  const [last] = headers['x-death']; // the newest first; those before tell of the retries
  console.log(`${last.reason}: ${letter.content}`);
  if (!again) continue;
  await publish(channel, '', COMMANDS, letter.content, { ...properties, persistent: true, headers: {} });
  channel.ack(letter);
}
console.log(`${count} dead letters${again ? ' sent again' : ''}`);
// What was got and not acknowledged is in the queue again when the connection is closed.
await connection.close();
