// One instance of the chat: serves the page over HTTP, and talks to each open page over a WebSocket.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { matches } from './pattern.js';
import { AloneRelay } from './relay/alone.js';
import { FanoutRelay } from './relay/fanout.js';
import { RoomsRelay } from './relay/rooms.js';

const relays = { alone: AloneRelay, fanout: FanoutRelay, rooms: RoomsRelay };
const Relay = relays[process.env.RELAY ?? 'rooms'];
const port = Number(process.env.PORT ?? 3001);

const ROOM = /^chat(\.[\w-]{1,40}){1,5}$/;
const PATTERN = /^chat(\.([\w-]{1,40}|\*|#)){1,5}$/;
const TEXT_MAX = 2000;
// A page that does not read is let go before it fills our memory; it comes back by itself.
const UNREAD_BYTES_MAX = 1 << 20;

const relay = new Relay();
const pages = new Set();

const files = {
  '/': ['public/index.html', 'text/html'],
  '/page.js': ['public/page.js', 'text/javascript'],
  '/page.css': ['public/page.css', 'text/css'],
};

const http = createServer(async (request, response) => {
  const [name, type] = files[request.url] ?? [];
  if (!name) return response.writeHead(404).end();
  const content = await readFile(new URL(name, import.meta.url));
  response.writeHead(200, { 'content-type': `${type}; charset=utf-8` }).end(content);
});

new WebSocketServer({ server: http, maxPayload: 16 * 1024 }).on('connection', (socket) => {
  const page = { socket, pattern: null };
  pages.add(page);
  tell(page, { type: 'state', up: relay.up });
  socket.on('error', () => {}); // always followed by 'close'
  socket.on('close', () => {
    pages.delete(page);
    if (page.pattern) relay.unfollow(page.pattern);
  });
  socket.on('message', (data) => {
    const request = parsed(data);
    if (request?.type === 'follow' && PATTERN.test(request.pattern)) follow(page, request.pattern);
    else if (request?.type === 'say' && ROOM.test(request.room)) say(page, request);
    else tell(page, { type: 'not understood', id: request?.id });
  });
});

async function follow(page, pattern) {
  const before = page.pattern;
  page.pattern = pattern;
  await relay.follow(pattern);
  tell(page, { type: 'following', pattern });
  if (before) await relay.unfollow(before);
}

async function say(page, { id, room, name, text }) {
  const message = { id: String(id), room, name: String(name), text: String(text).slice(0, TEXT_MAX), at: Date.now() };
  try {
    await relay.publish(message);
    tell(page, { type: 'sent', id });
  } catch {
    tell(page, { type: 'not sent', id });
  }
}

relay.on('message', (message) => {
  for (const page of pages) {
    // The relay brings what any page of this instance follows, or everything; each page gets its own.
    if (page.pattern && matches(page.pattern, message.room)) tell(page, { type: 'message', ...message });
  }
});

relay.on('state', () => {
  for (const page of pages) tell(page, { type: 'state', up: relay.up });
});

function tell({ socket }, message) {
  if (socket.bufferedAmount > UNREAD_BYTES_MAX) socket.terminate();
  else socket.send(JSON.stringify(message));
}

function parsed(data) {
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}

await relay.open();
http.listen(port, '127.0.0.1', () => console.log(`chat on http://127.0.0.1:${http.address().port}`));
