// Takes in documents by what their headers say: invoices of Germany, and tables of any kind.

import { receive } from './receiver.js';

await receive(
  'accounts',
  [
    { kind: 'document', headers: { 'x-match': 'all', document: 'invoice', country: 'de' } },
    { kind: 'document', headers: { 'x-match': 'any', form: 'table', confidential: true } },
  ],
  {
    invoice: ({ order, total }) => console.log(`invoice ${order}: ${total}`),
    stocktaking: (rows) => console.log(`stocktaking: ${rows.length} rows, first ${rows[0].join(' ')}`),
  },
);
