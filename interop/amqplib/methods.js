'use strict';
// amqplib's codec knows every method of AMQP 0-9-1, but its API has no function for some of them and never sets
// no-wait. Those are sent by number, (class << 16) + method, through the channel's own rpc() and sendImmediately().

const method = (classId, methodId) => (classId << 16) + methodId;

const METHODS = {
  channelFlow: [method(20, 20), method(20, 21)],
  accessRequest: [method(30, 10), method(30, 11)],
  exchangeDeclare: [method(40, 10), method(40, 11)],
  queueDeclare: [method(50, 10), method(50, 11)],
  queueBind: [method(50, 20), method(50, 21)],
  queuePurge: [method(50, 30), method(50, 31)],
  queueDelete: [method(50, 40), method(50, 41)],
  basicQos: [method(60, 10), method(60, 11)],
  basicConsume: [method(60, 20), method(60, 21)],
  basicCancel: [method(60, 30), method(60, 31)],
  basicAck: [method(60, 80)],
  basicRecoverAsync: [method(60, 100)],
  basicRecover: [method(60, 110), method(60, 111)],
  confirmSelect: [method(85, 10), method(85, 11)],
  txSelect: [method(90, 10), method(90, 11)],
  txCommit: [method(90, 20), method(90, 21)],
  txRollback: [method(90, 30), method(90, 31)],
};

/** Sends a method and waits for its answer. */
function call(channel, name, fields = {}) {
  const [request, answer] = METHODS[name];
  return channel.rpc(request, fields, answer);
}

/** Sends a method that has no answer, or whose answer the no-wait bit forbids. */
function send(channel, name, fields = {}) {
  channel.sendImmediately(METHODS[name][0], fields);
}

module.exports = { call, send };
