// Commands from the queue, tried again with growing patience, and put aside when they will never do.

import { connect, publish } from './broker.js';
import { backOffMs, COMMANDS, declareTopology, decode, encode, EVENTS, retryQueue } from './topology.js';

const ATTEMPT = 'x-attempt';

/** Has `carryOut` do each command. An error that `isFinal` takes, or the last attempt's, ends in the dead letter queue. */
export async function consumeCommands(carryOut, isFinal) {
  const connection = await connect(async (model) => {
    const channel = await model.createConfirmChannel();
    await declareTopology(channel);
    // One at a time: when the process dies of a command, all that it had in hand came back once more, also what was
    // not to blame, and would be counted for it. Start more processes to do more at a time.
    await channel.prefetch(1);
    await channel.consume(COMMANDS, (command) => take(channel, command));
  });
  connection.on('connect', () => console.log('shipping connected'));

  async function take(channel, command) {
    try {
      await attempt(channel, command);
    } catch (error) {
      // Only publishing fails here: the broker is gone, or has no room. It has not seen our acknowledgement, and
      // delivers the command again.
      console.log(`given back: ${error.message}`);
    }
  }

  async function attempt(channel, command) {
    let body;
    try {
      body = decode(command);
      await carryOut(body);
    } catch (error) {
      return failed(channel, command, body, error);
    }
    await tell(channel, { order: body.order, status: 'shipped' });
    channel.ack(command);
  }

  async function failed(channel, command, body, error) {
    const attempt = command.properties.headers[ATTEMPT] ?? 1;
    const delayMs = backOffMs[attempt - 1];
    // What cannot be read, or lacks what it needs, will not be better next time.
    if (body === undefined || isFinal(error) || delayMs === undefined) {
      console.log(`attempt ${attempt} failed for good: ${error.message}`);
      if (typeof body?.order === 'string') await tell(channel, { order: body.order, status: 'failed' });
      return channel.reject(command, false); // to the dead letter queue
    }
    console.log(`attempt ${attempt} failed, again in ${delayMs} ms: ${error.message}`);
    // Waits in a queue that nobody consumes, until its TTL is over; then the broker moves it back to the commands.
    // No worker is held up meanwhile, and it outlives a crash. Confirmed first, so that it is never in neither queue.
    await publish(channel, '', retryQueue(delayMs), command.content, {
      ...command.properties,
      persistent: true,
      headers: { [ATTEMPT]: attempt + 1 },
    });
    channel.ack(command);
  }

  function tell(channel, event) {
    const type = `order.${event.status}`;
    const properties = { type, contentType: 'application/json', persistent: true };
    return publish(channel, EVENTS, type, encode(event), properties);
  }
}
