'use strict';
// One test's dealings with the broker: the connections it opened and the names it must not leave behind.

const { randomUUID } = require('node:crypto');
const amqp = require('amqplib');
const { Inbox } = require('./inbox');

const AMQP_URL = process.env.AMQP_URL || 'amqp://guest:guest@127.0.0.1:5672/%2F';

/** The broker's address with the user, password, vhost or query changed. */
function address({ url = AMQP_URL, user, password, vhost, query = {} } = {}) {
  const changed = new URL(url);
  if (user !== undefined) changed.username = user;
  if (password !== undefined) changed.password = password;
  if (vhost !== undefined) changed.pathname = `/${encodeURIComponent(vhost)}`;
  for (const [key, value] of Object.entries(query)) changed.searchParams.set(key, value);
  return changed.toString();
}

class Session {
  #connections = [];
  #queues = [];
  #exchanges = [];
  #url;

  constructor(t, url = AMQP_URL) {
    this.#url = url;
    t.after(() => this.#end());
  }

  /** A further connection of its own. Options: `query` (amqplib's URL parameters), `socket` (its socket options). */
  async connect({ query, socket } = {}) {
    // noDelay: scenarios are conversations of small frames, which Nagle's algorithm would slow by 40 ms a turn.
    const connection = await amqp.connect(address({ url: this.#url, query }), { noDelay: true, ...socket });
    // An 'error' event without a listener would end the process; tests that expect one listen themselves.
    connection.on('error', () => {});
    this.#connections.push(connection);
    return connection;
  }

  /** The connection that channel() uses when none is named. */
  async connection() {
    if (this.#connections.length === 0) await this.connect();
    return this.#connections[0];
  }

  async channel(connection) {
    const channel = await (connection ?? (await this.connection())).createChannel();
    channel.on('error', () => {});
    return channel;
  }

  async confirmChannel(connection) {
    const channel = await (connection ?? (await this.connection())).createConfirmChannel();
    channel.on('error', () => {});
    return channel;
  }

  /** A fresh queue name, deleted after the test if a queue of that name exists. */
  queueName(label = 'q') {
    const name = `interop.amqplib.${label}.${randomUUID()}`;
    this.#queues.push(name);
    return name;
  }

  /** A fresh exchange name, deleted after the test if an exchange of that name exists. */
  exchangeName(label = 'x') {
    const name = `interop.amqplib.${label}.${randomUUID()}`;
    this.#exchanges.push(name);
    return name;
  }

  /** Declares a fresh queue; transient unless the test says otherwise, for no test should wait for a disk in vain. */
  async queue(channel, options = {}) {
    const { queue } = await channel.assertQueue(this.queueName(), { durable: false, ...options });
    return queue;
  }

  async exchange(channel, type, options = {}) {
    const { exchange } = await channel.assertExchange(this.exchangeName(type), type, { durable: false, ...options });
    return exchange;
  }

  /** Starts a consumer whose deliveries land in an Inbox. */
  async consume(channel, queue, options = {}) {
    const inbox = new Inbox();
    const { consumerTag } = await channel.consume(queue, (message) => inbox.put(message), options);
    inbox.tag = consumerTag;
    return inbox;
  }

  async #end() {
    await Promise.all(this.#connections.map(closed));
    if (this.#queues.length + this.#exchanges.length === 0) return;
    // A connection of its own: the test's may have ended in the error that it was about.
    const connection = await amqp.connect(this.#url, { noDelay: true }).catch(() => null);
    if (connection === null) return; // the broker of a durability test is gone already
    connection.on('error', () => {});
    const channel = await connection.createChannel();
    for (const queue of this.#queues) await channel.deleteQueue(queue);
    for (const exchange of this.#exchanges) await channel.deleteExchange(exchange);
    await connection.close();
  }
}

/** Closes a connection, whether the broker still answers or has gone; amqplib's close() settles only if it answers. */
function closed(connection) {
  return new Promise((resolve) => {
    connection.once('close', resolve);
    connection.close().then(resolve, resolve);
  });
}

/** Polls until `holds` says true: for what the broker does on its own time. */
async function eventually(holds, what, timeoutMs = 5000) {
  const deadline = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/**
 * How many messages wait in the queue. What this channel published is waited for first, if it is a confirm channel:
 * RabbitMQ answers a declare ahead of publishes that are still on their way to the queue.
 */
async function ready(channel, queue) {
  if (channel.waitForConfirms) await channel.waitForConfirms();
  return (await channel.checkQueue(queue)).messageCount;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const text = (message) => message.content.toString();

module.exports = { AMQP_URL, Session, address, eventually, pause, ready, text };
