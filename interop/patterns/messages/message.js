// The three kinds of message, and how each is addressed.
//
// kind      what it says           exchange              who gets it
// command   do this                direct: commands      the one that is named
// event     this has happened      topic: events         whoever has asked for such events
// document  here is something      headers: documents    whoever has asked for such contents

export const KINDS = {
  command: { exchange: 'commands', exchangeType: 'direct' },
  event: { exchange: 'events', exchangeType: 'topic' },
  document: { exchange: 'documents', exchangeType: 'headers' },
};

export async function declareExchanges(channel) {
  for (const { exchange, exchangeType } of Object.values(KINDS)) await channel.assertExchange(exchange, exchangeType);
}

const codecs = {
  'application/json': { encode: (body) => Buffer.from(JSON.stringify(body)), decode: (content) => JSON.parse(content) },
  'text/csv': {
    encode: (rows) => Buffer.from(rows.map((row) => row.join(',')).join('\r\n')),
    decode: (content) => content.toString().split('\r\n').map((line) => line.split(',')),
  },
};

export function encode(contentType, body) {
  return codecs[contentType].encode(body);
}

/** The body, by the content type that the sender gave it. Throws for one that we do not know. */
export function decode({ properties, content }) {
  const codec = codecs[properties.contentType];
  if (!codec) throw new Error(`content type ${properties.contentType} is not understood`);
  return codec.decode(content);
}
