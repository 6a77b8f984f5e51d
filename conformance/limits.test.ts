/** How fast is too fast. */
import { describe, expect, test } from 'vitest';
import { useServer } from './boot.ts';
import { eventually, newId } from './house.ts';

describe('by default', () => {
  const { house } = useServer(() => ({ env: { RATE_LIMIT: undefined } }));

  test('R1.12 R4.22 a flood of frames is refused, and then cut off', async () => {
    const [user, other] = [await house.user(newId()), await house.user(newId())];
    const { sessionId } = await user.say('before the flood');
    for (let i = 0; i < 2_000; i += 1) user.send({ type: 'send_message', requestId: i, data: { content: `${i}` } });
    const { data } = await user.expectFrame('error');
    expect(data).toMatchObject({ code: 'RATE_LIMITED', retryable: true, retryAfterMs: expect.any(Number) });
    expect(data.retryAfterMs).toBeGreaterThan(0);
    expect(await user.closed).toEqual({ code: 4029, reason: expect.stringMatching(/.{10}/) });
    // What was refused is not stored, what was acknowledged is.
    const { messages, totalCount } = await house.adminRest(newId()).messages(sessionId, '?afterSeq=0&pageSize=100');
    expect(totalCount).toBeLessThan(1_000);
    for (const { data: ack } of user.of('message_ack').filter((frame) => frame.data.seq <= 100)) {
      expect(messages[ack.seq - 1]).toMatchObject({ seq: ack.seq, messageId: ack.messageId });
    }
    // And what is stored was acknowledged, or a sender without a clientMessageId would say it twice.
    expect(user.of('message_ack')).toHaveLength(totalCount);
    await other.say('nobody else is affected');
    expect(other.of('error')).toEqual([]);
  });

  test('R1.12 an ordinary front end never meets a limit', async () => {
    const user = await house.user(newId());
    for (let i = 0; i < 100; i += 1) user.send({ type: 'send_message', requestId: `m${i}`, data: { content: `${i}` } });
    for (let i = 0; i < 100; i += 1) expect((await user.reply(`m${i}`)).type).toBe('message_ack');
    const rest = house.adminRest(newId());
    const answers = await Promise.all(Array.from({ length: 100 }, () => rest.request('GET', '/sessions')));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
  });
});

describe('when set', () => {
  const { house } = useServer(() => ({ env: { RATE_LIMIT: 'frames=5/10,requests=5/10' } }));

  test('R3.28 R12.3 requests that come too fast get 429, for a while', async () => {
    const rest = house.adminRest(newId());
    const answers = await Promise.all(Array.from({ length: 30 }, () => rest.request('GET', '/sessions')));
    const refused = answers.filter(({ status }) => status === 429);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(10);
    expect(refused.length).toBeGreaterThan(0);
    for (const { error, headers } of refused) {
      expect(error).toMatchObject({ code: 'RATE_LIMITED', retryable: true });
      expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(5);
    }
    expect((await house.adminRest(newId()).request('GET', '/sessions')).status).toBe(200);
    for (let i = 0; i < 30; i += 1) expect((await fetch(`${house.url}/healthz`)).status).toBe(200);
    await eventually(async () => (await rest.request('GET', '/sessions')).status === 200, 'the wait to be over', 3_000);
    // Without a token it is the address that is counted.
    const nobody = house.rest('/admin/chat', null);
    const strangers = await Promise.all(Array.from({ length: 30 }, () => nobody.request('GET', '/sessions')));
    expect(new Set(strangers.map(({ status }) => status))).toEqual(new Set([401, 429]));
    await eventually(
      async () => (await rest.request('GET', '/stats/today')).status === 200,
      'the next wait to be over',
    );
  });

  test('R4.22 frames that come too fast are refused, and taken again after the wait', async () => {
    const user = await house.user(newId());
    for (let i = 0; i < 20; i += 1) user.send({ type: 'send_message', requestId: `m${i}`, data: { content: `${i}` } });
    const replies = await Promise.all(Array.from({ length: 20 }, (_, i) => user.reply(`m${i}`)));
    expect(replies.filter((reply) => reply.type === 'message_ack').length).toBeGreaterThanOrEqual(10);
    expect(replies.filter((reply) => reply.type === 'error').length).toBeGreaterThan(0);
    await eventually(
      async () => (await user.ask('send_message', { content: 'again' })).type === 'message_ack',
      'the wait',
    );
  });
});

describe('when off', () => {
  const { house } = useServer();

  test('R1.12 there is no limit', async () => {
    const user = await house.user(newId());
    const rest = house.adminRest(newId());
    for (let i = 0; i < 1_000; i += 1) user.send({ type: 'send_message', requestId: i, data: { content: `${i}` } });
    await user.reply(999);
    expect(user.of('message_ack')).toHaveLength(1_000);
    for (let i = 0; i < 10; i += 1) {
      const answers = await Promise.all(Array.from({ length: 40 }, () => rest.request('GET', '/stats/today')));
      expect(answers.every(({ status }) => status === 200)).toBe(true);
    }
  });
});
