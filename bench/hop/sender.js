// Sends COUNT messages of SIZE octets: node sender.js TRANSPORT ADDRESS COUNT SIZE GAP_MS
// With a gap, one each so many milliseconds; without, as quickly as they are taken. The first eight octets say when.

import { setTimeout as pause } from 'node:timers/promises';

const [name, address, count, size, gapMs] = process.argv.slice(2);
const { openSender } = await import(`./transports/${name}.js`);
const sender = await openSender(address);

for (let sent = 0; sent < Number(count); sent++) {
  if (Number(gapMs) > 0) await pause(Number(gapMs));
  const body = Buffer.alloc(Number(size));
  // The monotonic clock of Linux, which all processes of a machine share.
  body.writeBigInt64LE(process.hrtime.bigint());
  await sender.send(body);
}
await sender.close();
const { user, system } = process.cpuUsage();
console.log(JSON.stringify({ cpuMicros: user + system }));
