// Takes one task after the other; start as many as there are cores, at any time:
//   node worker.js                  PAUSE_MS=500 node worker.js plays a slow machine

import { setTimeout as pause } from 'node:timers/promises';
import { connect, publish } from './broker.js';
import { decode, declareQueues, encode, RESULTS, TASKS } from './queues.js';
import { search } from './search_space.js';

const name = process.env.WORKER ?? `worker ${process.pid}`;
const pauseMs = Number(process.env.PAUSE_MS ?? 0);

const connection = await connect(async (model) => {
  const channel = await model.createConfirmChannel();
  await declareQueues(channel);
  // One task at a time: whatever else there is stays in the queue, for whoever is free first.
  await channel.prefetch(1);
  await channel.consume(TASKS, (delivery) => work(channel, delivery));
});
connection.on('connect', () => console.log(`${name} ready`));

async function work(channel, delivery) {
  const { job, task, tasks, ...range } = decode(delivery);
  console.log(`task ${task} begun${delivery.fields.redelivered ? ' again' : ''}`);
  // Even without a pause this lets the event loop go round, for heartbeats.
  const word = await search(range, () => pause(pauseMs));
  try {
    const result = encode({ job, task, tasks, word, worker: name });
    await publish(channel, '', RESULTS, result, { persistent: true, messageId: `${job}.${task}` });
    // Only now: a worker that dies before this line gives its task back, and one that dies between the two leaves a
    // result that comes twice, which the collector sees.
    channel.ack(delivery);
    console.log(`task ${task} done`);
  } catch (error) {
    console.log(`task ${task} given back: ${error.message}`); // the broker does that, as the channel is gone
  }
}
