// Asks for the prime factors of many numbers at once, and prints each answer as it comes:
//   node requester.js               the numbers from 1000 to 1019, over direct reply-to
//   node requester.js FROM TO queue 3000     over an exclusive reply queue, each answer within 3000 ms

import { connect } from './broker.js';
import { RequestChannel } from './index.js';

const [from = 1000, to = 1019, replies = 'direct', timeoutMs = 5000] = process.argv.slice(2);

const connection = await connect();
const requests = new RequestChannel(connection, { replies, timeoutMs: Number(timeoutMs) });

async function ask(number) {
  try {
    const factors = await requests.request('factors', number);
    console.log(`${number} = ${factors.join(' * ')}`);
  } catch (error) {
    console.log(`${number}: ${error.constructor.name}: ${error.message}`);
  }
}

const asked = [];
for (let number = Number(from); number <= Number(to); number++) asked.push(ask(number));
await Promise.all(asked);
await connection.close();
