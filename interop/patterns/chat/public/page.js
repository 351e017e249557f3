// The page. It shows a message of its own at once, and marks it when the broker has it, or when it has not.

const element = (id) => document.getElementById(id);
const RECONNECT_MS = 500;
// The line of each message of mine: it is not to be shown again when it comes back.
const mine = new Map();
const waiting = new Set();
let socket;

function connect() {
  socket = new WebSocket(`ws://${location.host}`);
  socket.onopen = follow;
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    on[message.type]?.(message);
  };
  socket.onclose = () => {
    show(false);
    // Whether these arrived cannot be known any more.
    for (const id of waiting) on['not sent']({ id });
    setTimeout(connect, RECONNECT_MS);
  };
}

const on = {
  state: ({ up }) => show(up),
  following: ({ pattern }) => {
    element('messages').dataset.following = pattern;
  },
  message: (message) => {
    if (!mine.has(message.id)) line(message);
  },
  sent: ({ id }) => settle(id, ''),
  'not sent': ({ id }) => settle(id, 'refused'),
  // Of a message: its room has no proper name. Of the pattern: the old one stays.
  'not understood': ({ id }) => (id ? settle(id, 'refused') : element('pattern').select()),
};

function show(up) {
  element('state').dataset.state = up ? 'up' : 'away';
  element('state').textContent = up ? 'connected' : 'waiting for the chat to come back …';
}

function follow() {
  socket.send(JSON.stringify({ type: 'follow', pattern: element('pattern').value }));
}

function line({ room, name, text }, mark = '') {
  const item = document.createElement('li');
  const [where, who, what] = ['small', 'b', 'span'].map((tag) => document.createElement(tag));
  // textContent, never innerHTML: what others wrote is text and nothing else.
  [where.textContent, who.textContent, what.textContent] = [room, name, text];
  item.append(where, who, what);
  item.className = mark;
  element('messages').append(item);
  item.scrollIntoView();
  return item;
}

function settle(id, mark) {
  waiting.delete(id);
  mine.get(id).className = mark;
}

// crypto.randomUUID() is there on https and localhost alone.
const newId = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16)).join('-');

element('follow').onsubmit = (event) => {
  event.preventDefault();
  if (socket.readyState === WebSocket.OPEN) follow();
};

element('say').onsubmit = (event) => {
  event.preventDefault();
  const text = element('text').value.trim();
  if (!text || socket.readyState !== WebSocket.OPEN) return;
  const message = { id: newId(), room: element('room').value, name: element('name').value, text };
  mine.set(message.id, line(message, 'waiting'));
  waiting.add(message.id);
  socket.send(JSON.stringify({ type: 'say', ...message }));
  element('text').value = '';
};

connect();
