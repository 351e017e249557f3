// Gathers the results of all tasks (fan-in), and tells what was found and when a job is finished.

import { connect } from './broker.js';
import { declareQueues, decode, RESULTS } from './queues.js';

// Jobs whose word has been told, and jobs at their end. What came twice must not be told twice.
const told = new Set();
const finished = new Set();

const connection = await connect(async (model) => {
  const channel = await model.createChannel();
  await declareQueues(channel);
  // The state of a job is its results in the queue. They are acknowledged together at the job's end, and until then a
  // new channel, or a new collector, gets all of them again. So there is nothing to be stored here.
  const jobs = new Map();
  await channel.consume(RESULTS, (delivery) => gather(channel, jobs, delivery));
});
connection.on('connect', () => console.log('collector ready'));

function gather(channel, jobs, delivery) {
  const { job, task, tasks, word, worker } = decode(delivery);
  if (finished.has(job)) return channel.ack(delivery);
  if (!jobs.has(job)) jobs.set(job, { done: new Set(), deliveries: [] });
  const { done, deliveries } = jobs.get(job);
  deliveries.push(delivery);
  done.add(task);
  console.log(`job ${job}: ${done.size} of ${tasks} (task ${task} by ${worker})`);
  if (word !== null && !told.has(job)) {
    told.add(job);
    console.log(`job ${job}: found "${word}"`);
  }
  if (done.size < tasks) return;
  finished.add(job);
  jobs.delete(job);
  for (const each of deliveries) channel.ack(each);
  console.log(`job ${job}: finished${told.has(job) ? '' : ', nothing found'}`);
}
