// Peer to peer: the receiver binds, the sender connects, and nothing stands between.

import { Pull, Push } from 'zeromq';

export async function openSender(address) {
  const socket = new Push();
  socket.connect(address);
  return {
    // Settles when ZeroMQ has taken it; that waits while 1000 messages (its default) are on their way.
    send: (body) => socket.send(body),
    close: () => socket.close(), // lingers until all is written
  };
}

export async function openReceiver(address, take) {
  const socket = new Pull();
  await socket.bind(address);
  (async () => {
    for await (const [body] of socket) take(body);
  })();
}
