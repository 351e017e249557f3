// The three promises, and what each side does for them.

export const QUEUE = 'delivery';

export const MODES = {
  // Nobody asks whether anything arrived.
  'at-most-once': { confirm: false, acknowledge: false, recognise: false },
  // The publisher sends again until it is confirmed, the broker delivers again until it is acknowledged.
  'at-least-once': { confirm: true, acknowledge: true, recognise: false },
  // The same, and the consumer recognises by the message's id what it has done already.
  'effectively-once': { confirm: true, acknowledge: true, recognise: true },
};

export function modeNamed(name) {
  if (!MODES[name]) throw new Error(`no mode '${name}': there are ${Object.keys(MODES).join(', ')}`);
  return MODES[name];
}

export async function declareQueue(channel) {
  await channel.assertQueue(QUEUE, { durable: true });
}
