'use strict';
const { test, before, after } = require('node:test');
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const amqplib = require('amqplib');
const { BrokerProcess, needsBroker } = require('../broker_process');

let folder;
const read = (name) => readFileSync(join(folder, name));

/** A certificate of the authority in the folder, with its key. */
function sign(name, subject, extension) {
  const openssl = (...args) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  writeFileSync(join(folder, `${name}.ext`), extension);
  const files = ['-keyout', `${name}.key`, '-out', `${name}.csr`];
  openssl('req', '-new', '-newkey', 'rsa:2048', '-nodes', '-subj', subject, ...files);
  const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', `${name}.ext`];
  openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, ...by);
}

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'interop-amqplib-tls-'));
  const authority = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=authority', '-days', '2'];
  execFileSync('openssl', [...authority, '-keyout', 'ca.key', '-out', 'ca.pem'], { cwd: folder, stdio: 'pipe' });
  sign('host', '/CN=localhost', 'subjectAltName=DNS:localhost');
  sign('hare', '/O=Burrow/CN=hare', 'extendedKeyUsage=clientAuth');
});

after(() => rmSync(folder, { recursive: true, force: true }));

async function start(t) {
  const files = ['--tls-certificate', join(folder, 'host.pem'), '--tls-key', join(folder, 'host.key')];
  const clients = ['--tls-ca', join(folder, 'ca.pem'), '--tls-verify', 'peer'];
  return BrokerProcess.start(t, ['--tls-listen', '127.0.0.1:0', ...files, ...clients], {
    RABBITMQ_DEFAULT_USER: 'CN=hare,O=Burrow',
  });
}

async function roundTrip(broker, options, credentials = '') {
  const url = `amqps://${credentials}${broker.encrypted}/%2F`;
  const connection = await amqplib.connect(url, { ca: [read('ca.pem')], servername: 'localhost', ...options });
  try {
    const channel = await connection.createChannel();
    await channel.assertQueue('q', { exclusive: true });
    const body = Buffer.alloc(300_000, 'x');
    channel.sendToQueue('q', body);
    const got = await new Promise((resolve) => channel.consume('q', resolve, { noAck: true }));
    assert.ok(got.content.equals(body));
  } finally {
    await connection.close();
  }
}

test('messages go over TLS', needsBroker, async (t) => {
  const broker = await start(t);
  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    const versions = { minVersion: version, maxVersion: version };
    await roundTrip(broker, versions, `${encodeURIComponent('CN=hare,O=Burrow')}:guest@`);
  }
});

test('a certificate logs in', needsBroker, async (t) => {
  const broker = await start(t);
  const identity = { cert: read('hare.pem'), key: read('hare.key') };
  await roundTrip(broker, { ...identity, credentials: amqplib.credentials.external() });
});
