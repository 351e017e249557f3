// The shipping service. A carrier does the work; PUT /carrier {"up":false} plays one that does not answer.
// Its state is in memory, to keep it short.

import express from 'express';
import { consumeCommands } from './commands.js';

const port = Number(process.env.PORT ?? 4002);

/** Trying again is of no use. */
export class Impossible extends Error {}

const carrier = { up: true };
const shipped = new Set();

/** Ships an order. The same order twice, as may happen after a crash or by a doubled message, is one parcel. */
async function ship({ order, article, address }) {
  if (typeof order !== 'string' || !address) throw new Impossible('no address');
  if (shipped.has(order)) return;
  if (article === process.env.CRASH_ON) process.exit(1); // plays a fault that no handler catches
  if (!carrier.up) throw new Error('the carrier does not answer');
  shipped.add(order);
  console.log(`shipped ${order}`);
}

const app = express();
app.use(express.json());

app.post('/shipments', async (request, response) => {
  const { order } = request.body ?? {};
  try {
    await ship(request.body);
    response.status(201).json({ order, status: 'shipped' });
  } catch (error) {
    response.status(error instanceof Impossible ? 422 : 503).json({ error: error.message });
  }
});

app.put('/carrier', (request, response) => {
  carrier.up = request.body.up;
  response.json(carrier);
});

const http = app.listen(port, '127.0.0.1', () => console.log(`shipping on http://127.0.0.1:${http.address().port}`));
if (process.env.INTEGRATION !== 'direct') await consumeCommands(ship, (error) => error instanceof Impossible);
