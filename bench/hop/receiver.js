// Receives up to COUNT messages and prints what it has seen: node receiver.js TRANSPORT ADDRESS COUNT
// A line on standard input tells that no more are sent: what does not come soon then is lost.

const QUIET_MS = 2000;

const [name, address, count] = process.argv.slice(2);
const { openReceiver } = await import(`./transports/${name}.js`);

const micros = [];
let first;
let last;
await openReceiver(address, (body) => {
  last = process.hrtime.bigint();
  first ??= last;
  micros.push(Number(last - body.readBigInt64LE()) / 1000);
  if (micros.length === Number(count)) report();
});
console.log('ready');

process.stdin.once('data', () => {
  setInterval(() => {
    if (last === undefined || process.hrtime.bigint() - last > BigInt(QUIET_MS) * 1_000_000n) report();
  }, 100);
});

function report() {
  const { user, system } = process.cpuUsage();
  const sorted = Float64Array.from(micros).sort();
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  const seconds = Number(last - first) / 1e9;
  const result = {
    received: micros.length,
    perSecond: (micros.length - 1) / seconds,
    p50: at(0.5),
    p99: at(0.99),
    cpuMicros: user + system,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit());
}
