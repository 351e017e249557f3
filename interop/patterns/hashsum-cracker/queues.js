// The two queues between the three stages. Whoever comes first declares them.

export const TASKS = 'hashsum.tasks';
export const RESULTS = 'hashsum.results';

export async function declareQueues(channel) {
  await channel.assertQueue(TASKS, { durable: true });
  // A second collector stands by: it gets nothing until the first is gone, and then all that was not acknowledged.
  await channel.assertQueue(RESULTS, { durable: true, arguments: { 'x-single-active-consumer': true } });
}

export const encode = (value) => Buffer.from(JSON.stringify(value));
export const decode = ({ content }) => JSON.parse(content);
