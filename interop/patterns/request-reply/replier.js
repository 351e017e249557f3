// Answers requests for the prime factors of a number. Start several:
//   node replier.js                 DELAY_MS=500 node replier.js plays a slow one

import { setTimeout as pause } from 'node:timers/promises';
import { connect } from './broker.js';
import { ReplyChannel } from './index.js';

const delayMs = Number(process.env.DELAY_MS ?? 0);

function factors(number) {
  const found = [];
  let rest = number;
  for (let factor = 2; factor * factor <= rest; factor++) {
    for (; rest % factor === 0; rest /= factor) found.push(factor);
  }
  return rest > 1 ? [...found, rest] : found;
}

const replies = await ReplyChannel.open(await connect(), 'factors', async (number) => {
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`not a whole number: ${number}`);
  console.log(`asked for ${number}`);
  await pause(delayMs);
  return factors(number);
});
console.log('serving factors');
replies.on('open', () => console.log('serving factors again'));
