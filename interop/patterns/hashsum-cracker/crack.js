// Splits the search for a hash sum into tasks (fan-out):
//   node crack.js 5d41402abc4b2a76b9719d911017c592          words of up to 5 letters
//   node crack.js HASH LENGTH WORDS_PER_TASK

import { randomUUID } from 'node:crypto';
import { connect, publishUntilConfirmed } from './broker.js';
import { declareQueues, encode, TASKS } from './queues.js';
import { algorithmOf, wordCount } from './search_space.js';

const [hash = '', length = '5', wordsPerTask = '100000'] = process.argv.slice(2);
if (!algorithmOf(hash) || !(Number(length) > 0) || !(Number(wordsPerTask) > 0)) {
  console.error('usage: node crack.js HASH [LENGTH [WORDS_PER_TASK]]');
  process.exit(64);
}

let channel;
const connection = await connect(async (model) => {
  channel = await model.createConfirmChannel();
  await declareQueues(channel);
});
await connection.waitForConnect();

const job = randomUUID().slice(0, 8);
const tasks = split(wordCount(Number(length)), Number(wordsPerTask));
await Promise.all(
  tasks.map((range, task) => {
    const content = encode({ job, task, tasks: tasks.length, hash, ...range });
    return publishUntilConfirmed(() => channel, '', TASKS, content, { persistent: true, messageId: `${job}.${task}` });
  }),
);
console.log(`job ${job}: ${tasks.length} tasks`);
await connection.close();

function split(words, size) {
  const ranges = [];
  for (let from = 0; from < words; from += size) ranges.push({ from, to: Math.min(from + size, words) });
  return ranges;
}
