import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { matches } from '../chat/pattern.js';
import { freePort } from '../delivery/local_broker.js';
import { application, eventually, startBroker } from './processes.js';

const DEADLINE_MS = 60_000;
const CHROMIUM = [
  '--no-sandbox', // it does not work as root
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--renderer-process-limit=1', // one process for all pages: starting them is what these tests cost
];

let chrome;
let pages;
before(async () => {
  chrome = await chromium.launch({ executablePath: '/usr/bin/chromium', args: CHROMIUM, timeout: DEADLINE_MS });
  pages = await chrome.newContext();
  pages.setDefaultTimeout(DEADLINE_MS);
});
afterEach(() => Promise.all(pages.pages().map((page) => page.close())));
after(() => chrome?.close());

/** A page on an instance, connected and following a pattern. */
async function open(url, pattern) {
  const page = await pages.newPage();
  await page.goto(url);
  await there(page, '#state[data-state=up]');
  await follow(page, pattern);
  return page;
}

async function follow(page, pattern) {
  await page.fill('#pattern', pattern);
  await page.press('#pattern', 'Enter');
  await there(page, `#messages[data-following="${pattern}"]`);
}

/** Waits until the page has such an element, with such a text in it. */
async function there(page, selector, text = '') {
  const found = ([selector, text]) => [...document.querySelectorAll(selector)].some((it) => it.textContent.includes(text));
  // By a timer, and not frame by frame as Playwright's own locators wait: drawing frames is most of what a page costs.
  await page.waitForFunction(found, [selector, text], { polling: 50 });
}

async function say(page, room, text) {
  await page.fill('#room', room);
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}

const texts = (page) => page.$$eval('#messages li span', (items) => items.map((item) => item.textContent));
const sees = (page, text) => there(page, '#messages li span', text);

/** Starts an instance and returns its address. */
async function instance(run, env) {
  const [, url] = await run('server.js', { env: { PORT: '0', ...env } }).line(/^chat on (.*)$/);
  return url;
}

test('patterns match as a topic exchange does', () => {
  const table = [
    ['chat.*', 'chat.lobby', true],
    ['chat.*', 'chat.eu.berlin', false],
    ['chat.*', 'chat', false],
    ['chat.eu.#', 'chat.eu', true],
    ['chat.eu.#', 'chat.eu.berlin.food', true],
    ['chat.eu.#', 'chat.us.boston', false],
    ['chat.#.food', 'chat.food', true],
    ['chat.#.food', 'chat.eu.berlin.food', true],
    ['chat.#.food', 'chat.eu.berlin', false],
    ['#', 'chat', true],
    ['chat.#.#', 'chat', true],
    ['*.#.berlin', 'chat.eu.berlin', true],
  ];
  for (const [pattern, room, expected] of table) assert.equal(matches(pattern, room), expected, `${pattern} ${room}`);
});

test('one instance: two pages see each other, without a broker', async (t) => {
  const run = application(t, 'chat', { RELAY: 'alone' });
  const url = await instance(run);
  const [ann, ben] = [await open(url, 'chat.#'), await open(url, 'chat.#')];
  await say(ann, 'chat. lobby', 'in no room');
  await there(ann, '#messages li.refused', 'in no room');
  await say(ann, 'chat.lobby', '<b>hello</b>');
  await sees(ben, '<b>hello</b>');
  assert.deepEqual(await texts(ben), ['<b>hello</b>']);
});

for (const relay of ['fanout', 'rooms']) {
  test(`several instances (${relay}): pages on two of them see each other, before and after kill -9 of the broker`, async (t) => {
    const broker = await startBroker(t);
    const run = application(t, 'chat', { AMQP_URL: broker.url, RELAY: relay });
    const [one, other] = await Promise.all([instance(run), instance(run)]);
    const [ann, ben] = [await open(one, 'chat.#'), await open(other, 'chat.#')];
    await say(ann, 'chat.lobby', 'hello from ann');
    await sees(ben, 'hello from ann');
    await say(ben, 'chat.lobby', 'hello from ben');
    await sees(ann, 'hello from ben');

    await broker.kill();
    for (const page of [ann, ben]) await there(page, '#state[data-state=away]');
    await say(ann, 'chat.lobby', 'into the void');
    await there(ann, '#messages li.refused', 'into the void');

    await broker.launch();
    for (const page of [ann, ben]) await there(page, '#state[data-state=up]');
    await say(ben, 'chat.lobby', 'there again, says ben');
    await sees(ann, 'there again, says ben');
    await say(ann, 'chat.lobby', 'there again, says ann');
    await sees(ben, 'there again, says ann');
    // Each of them once, and nothing of what was not sent.
    const conversation = ['hello from ann', 'hello from ben', 'there again, says ben', 'there again, says ann'];
    assert.deepEqual(await texts(ben), conversation);
    assert.deepEqual((await texts(ann)).filter((text) => text !== 'into the void'), conversation);
  });
}

test('rooms: a page sees what its pattern takes, and another pattern takes over at once', async (t) => {
  const broker = await startBroker(t);
  const run = application(t, 'chat', { AMQP_URL: broker.url });
  const [one, other] = await Promise.all([instance(run), instance(run)]);
  const speaker = await open(one, 'chat.none');
  const europe = await open(other, 'chat.eu.#');
  const shallow = await open(other, 'chat.*');
  await say(speaker, 'chat.eu.berlin.food', 'currywurst');
  await say(speaker, 'chat.lobby', 'anybody there?');
  await say(speaker, 'chat.us.boston', 'tea');
  await say(speaker, 'chat.eu', 'the end');
  // What is said on one instance comes in order: when the last is there, all that comes before it has come.
  await sees(europe, 'the end');
  await sees(shallow, 'the end');
  assert.deepEqual(await texts(europe), ['currywurst', 'the end']);
  assert.deepEqual(await texts(shallow), ['anybody there?', 'the end']);

  await follow(europe, 'chat.us.*');
  await say(speaker, 'chat.eu.berlin', 'unheard');
  await say(speaker, 'chat.us.boston', 'more tea');
  await sees(europe, 'more tea');
  assert.deepEqual(await texts(europe), ['currywurst', 'the end', 'more tea']);
});

test('a page finds its instance again after that was killed', async (t) => {
  const broker = await startBroker(t);
  const run = application(t, 'chat', { AMQP_URL: broker.url });
  const PORT = String(await freePort());
  const mortal = run('server.js', { env: { PORT } });
  const [, url] = await mortal.line(/^chat on (.*)$/);
  const other = await instance(run);
  const [ann, ben] = [await open(url, 'chat.#'), await open(other, 'chat.#')];
  await mortal.kill();
  await there(ann, '#state[data-state=away]');
  run('server.js', { env: { PORT } });
  await there(ann, '#state[data-state=up]');
  // The page asks for its rooms again as soon as it is connected; the first message may be quicker than that.
  let sent = 0;
  await eventually(async () => {
    await say(ben, 'chat.lobby', `are you back? ${sent++}`);
    return (await texts(ann)).length > 0;
  }, 'ann hears ben again');
});
