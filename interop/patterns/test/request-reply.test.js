import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import amqp from 'amqplib';
import { NoReplier, ReplyChannel, RequestChannel, RequestFailed, RequestLost, RequestTimeout } from '../request-reply/index.js';
import { application, eventually, startBroker } from './processes.js';

const LONG_MS = 60_000;
const SHORT_MS = 50;

/** A promise to be settled from outside. */
function gate() {
  let open;
  const passed = new Promise((resolve) => {
    open = resolve;
  });
  return { open, passed };
}

for (const replies of ['direct', 'queue']) {
  test(`RequestChannel and ReplyChannel, answers by ${replies}`, async (t) => {
    const broker = await startBroker(t);
    const connected = async (t) => {
      const recovery = { initialDelay: 20, maxDelay: 200 };
      const connection = await amqp.connect(broker.url, { noDelay: true, recovery });
      connection.on('error', () => {});
      t.after(() => connection.close());
      return connection;
    };
    const asking = async (t) => new RequestChannel(await connected(t), { replies, timeoutMs: LONG_MS });

    await t.test('every requester gets its own answers, from several repliers', async (t) => {
      const served = [0, 0];
      for (const at of served.keys()) {
        await ReplyChannel.open(await connected(t), 'square', (number) => {
          served[at]++;
          return number * number;
        });
      }
      const requesters = await Promise.all([asking(t), asking(t), asking(t)]);
      const asked = requesters.flatMap((requests, at) =>
        Array.from({ length: 100 }, (_, i) => [at * 1000 + i, requests.request('square', at * 1000 + i)]),
      );
      for (const [number, answer] of asked) assert.equal(await answer, number * number);
      assert.equal(served[0] + served[1], asked.length);
      assert.ok(served.every((count) => count > 0), `both took part: ${served}`);
      assert.deepEqual(requesters.map(({ waiting }) => waiting), [0, 0, 0]);
    });

    await t.test('answers may come out of order', async (t) => {
      const second = gate();
      await ReplyChannel.open(await connected(t), 'order', async (name) => {
        if (name === 'first') await second.passed;
        return `answer to the ${name}`;
      });
      const requests = await asking(t);
      const order = [];
      const ask = async (name) => order.push(await requests.request('order', name));
      const first = ask('first');
      await ask('second');
      second.open();
      await first;
      assert.deepEqual(order, ['answer to the second', 'answer to the first']);
    });

    await t.test('a late answer is ignored', async (t) => {
      const timedOut = gate();
      let taken = 0;
      await ReplyChannel.open(await connected(t), 'late', async (name) => {
        if (name !== 'slow') return name;
        taken++;
        await timedOut.passed;
        return 'late';
      });
      const requests = await asking(t);
      // A request that the replier has not even taken in this time has expired and is answered by nobody.
      await eventually(async () => {
        await assert.rejects(requests.request('late', 'slow', { timeoutMs: SHORT_MS }), RequestTimeout);
        return taken > 0;
      }, 'the replier takes a request in time');
      assert.equal(requests.waiting, 0);
      const late = once(requests, 'late');
      timedOut.open();
      await late;
      assert.equal(await requests.request('late', 'quick'), 'quick');
    });

    await t.test("what the handler throws is the requester's to catch", async (t) => {
      await ReplyChannel.open(await connected(t), 'throws', (body) => {
        throw new Error(`no ${body} today`);
      });
      const requests = await asking(t);
      await assert.rejects(requests.request('throws', 'soup'), (error) => {
        return error instanceof RequestFailed && error.message === 'no soup today';
      });
    });

    await t.test('a queue that is not there is told at once', async (t) => {
      const requests = await asking(t);
      await assert.rejects(requests.request('nobody', 1), NoReplier);
    });

    await t.test('a request that nobody took in time is not done any more', async (t) => {
      const first = await ReplyChannel.open(await connected(t), 'expired', () => 'served');
      const requests = await asking(t);
      assert.equal(await requests.request('expired', 1), 'served');
      await first.close();
      await assert.rejects(requests.request('expired', 'too late', { timeoutMs: SHORT_MS }), RequestTimeout);
      // The broker's clock starts when it gets the message, which it has before it answers what comes behind.
      await assert.rejects(requests.request('nobody', 1), NoReplier);
      const channel = await (await connected(t)).createChannel();
      await eventually(async () => (await channel.checkQueue('expired')).messageCount === 0, 'the request expires');
      const seen = [];
      await ReplyChannel.open(await connected(t), 'expired', (body) => seen.push(body));
      await requests.request('expired', 'in time');
      assert.deepEqual(seen, ['in time']);
    });

    await t.test('close() answers what it has', async (t) => {
      const taken = gate();
      const go = gate();
      const answers = await ReplyChannel.open(await connected(t), 'closing', async () => {
        taken.open();
        await go.passed;
        return 'after all';
      });
      const answer = (await asking(t)).request('closing', 1);
      await taken.passed;
      const closed = answers.close();
      go.open();
      await closed;
      assert.equal(await answer, 'after all');
    });

    await t.test('requests that are out when the broker dies are lost, and the next ones are answered', async (t) => {
      const taken = gate();
      await ReplyChannel.open(await connected(t), 'mortal', async (body) => {
        if (body !== 'held') return body;
        taken.open();
        return new Promise(() => {});
      });
      const requests = await asking(t);
      const held = assert.rejects(requests.request('mortal', 'held'), RequestLost);
      await taken.passed;
      await broker.killAndRestart();
      await held;
      // Until the replier has declared its queue again there may be nobody.
      await eventually(
        async () => (await requests.request('mortal', 'again').catch(() => null)) === 'again',
        'an answer after the restart',
      );
    });
  });
}

test('requesters and repliers as processes: a replier killed with requests in hand leaves them to the other', async (t) => {
  const broker = await startBroker(t);
  const run = application(t, 'request-reply', { AMQP_URL: broker.url });
  const doomed = run('replier.js', { env: { DELAY_MS: String(LONG_MS * 60) } });
  await doomed.line(/^serving/);
  const requesters = ['direct', 'queue', 'direct'].map((replies, at) => {
    return run('requester.js', { args: [String(at * 100 + 100), String(at * 100 + 119), replies, String(LONG_MS)] });
  });
  await doomed.line(/^asked for/, 10);
  const other = run('replier.js');
  await other.line(/^serving/);
  await doomed.kill();
  for (const [at, requester] of requesters.entries()) {
    assert.equal(await requester.ended(), 0, requester.lines.join('\n'));
    const numbers = requester.lines.map((line) => {
      const [number, factors] = line.split(' = ');
      assert.equal(factors.split(' * ').reduce((product, factor) => product * Number(factor), 1), Number(number));
      return Number(number);
    });
    assert.deepEqual(numbers.sort((a, b) => a - b), Array.from({ length: 20 }, (_, i) => at * 100 + 100 + i));
  }
});

test('the only replier dies: its requester is told by a timeout', async (t) => {
  const broker = await startBroker(t);
  const run = application(t, 'request-reply', { AMQP_URL: broker.url });
  const doomed = run('replier.js', { env: { DELAY_MS: String(LONG_MS * 60) } });
  await doomed.line(/^serving/);
  const requester = run('requester.js', { args: ['97', '97', 'direct', '3000'] });
  await Promise.race([doomed.line(/^asked for 97$/), requester.ended()]);
  await doomed.kill();
  await requester.line(/^97: RequestTimeout: no answer from 'factors' in 3000 ms$/);
  assert.equal(await requester.ended(), 0);
});
