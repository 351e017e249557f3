// The service that customers talk to: takes orders, has them shipped, tells how far they are.
// Its state is in memory, to keep it short.

import { randomUUID } from 'node:crypto';
import express from 'express';
import { openShipments } from './shipments.js';

const port = Number(process.env.PORT ?? 4001);

const orders = new Map();
const shipments = await openShipments(({ order, status }) => {
  orders.set(order, { ...orders.get(order), status });
  console.log(`order ${order} ${status}`);
});

const app = express();
app.use(express.json());

app.post('/orders', async (request, response) => {
  const { article, address } = request.body ?? {};
  const order = randomUUID();
  orders.set(order, { article, address, status: 'accepted' });
  try {
    await shipments.ask({ order, article, address });
    response.status(202).json({ order, ...orders.get(order) });
  } catch (error) {
    orders.delete(order);
    response.status(503).json({ error: error.message });
  }
});

app.get('/orders/:order', (request, response) => {
  const order = orders.get(request.params.order);
  response.status(order ? 200 : 404).json(order ?? { error: 'no such order' });
});

const http = app.listen(port, '127.0.0.1', () => console.log(`orders on http://127.0.0.1:${http.address().port}`));
