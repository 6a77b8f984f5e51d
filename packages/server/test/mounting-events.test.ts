/** What a program that embeds Switchboard hears of it, does with it, and can set. */
import { createServer } from 'node:http';
import { expect, test, vi } from 'vitest';
import type { SettingName, SwitchboardEvents } from '../src/index.ts';
import { settings } from '../src/settings.ts';
import { listening, mounted } from './mounting-host.ts';

test('what this node commits is told once, in order, after it is stored', async () => {
  const switchboard = await mounted();
  const told: [keyof SwitchboardEvents, unknown][] = [];
  for (const name of ['message', 'assigned', 'closed', 'rated'] as const) {
    switchboard.on(name, (event) => void told.push([name, event]));
  }
  const server = createServer();
  switchboard.attach(server);
  const host = await listening(server);
  await host.connect('/chat?token=anna&type=admin');
  const user = await host.connect('/chat?token=lilei');
  for (let i = 0; i < 3; i++) user.say('你好', { sessionId: 's1', clientMessageId: 'm1' });
  await vi.waitFor(() => expect(user.heard.filter((text) => text.includes('message_ack'))).toHaveLength(3));
  const anna = switchboard.as({ side: 'admin', userId: 7, nickname: 'Anna' });
  await anna.send({ sessionId: 's1', content: '您好' });
  await anna.close('s1');
  const lilei = switchboard.as({ side: 'user', userId: 31 });
  await lilei.rate('s1', 5, '很好');
  await anna.reopen('s1');
  await switchboard.close();

  const session = { sessionId: 's1', userId: 31, adminId: 7 };
  expect(told.slice(0, 5)).toMatchObject([
    [
      'message',
      {
        session: { ...session, status: 'active' },
        message: { content: '你好', senderType: 'user', seq: 1, clientMessageId: 'm1' },
      },
    ],
    ['assigned', { session, adminId: 7, reason: 'assigned', by: { type: 'system', id: 0 }, seq: 2 }],
    ['message', { session, message: { content: '您好', senderType: 'admin', senderId: 7, seq: 3 } }],
    ['closed', { session: { ...session, status: 'closed' }, by: { type: 'admin', id: 7 }, seq: 4 }],
    ['rated', { session, score: 5, comment: '很好', by: { type: 'user', id: 31 }, seq: 5 }],
  ]);
  // Open again, it waits first and then goes back to the admin who is still there.
  expect(told.slice(5).every(([name]) => name === 'assigned')).toBe(true);
});

test('a listener that fails hinders nobody, and one that was taken off hears nothing', async () => {
  const errors: unknown[] = [];
  const silent = (): void => undefined;
  const switchboard = await mounted({
    logger: {
      debug: silent,
      info: silent,
      warn: silent,
      error: (fields, message) => void errors.push([fields, message]),
    },
  });
  const heard: string[] = [];
  switchboard.on('message', () => {
    throw new Error('at once');
  });
  switchboard.on('message', async () => {
    await Promise.resolve();
    throw new Error('later');
  });
  const listener = ({ message }: SwitchboardEvents['message']): void => void heard.push(message.content);
  const off = switchboard.on('message', listener);
  switchboard.on('message', listener);
  const user = switchboard.as({ side: 'user', userId: 31 });
  await user.send({ content: 'one' });
  await vi.waitFor(() => expect(heard).toEqual(['one', 'one']));
  off();
  off();
  await user.send({ content: 'two' });
  await vi.waitFor(() => expect(heard).toEqual(['one', 'one', 'two']));
  await vi.waitFor(() => expect(errors).toHaveLength(4));
  expect(JSON.stringify(errors)).toMatch(/at once.*later/);
});

test("the host's code acts by the same rules as everybody", async () => {
  const switchboard = await mounted();
  const lilei = switchboard.as({ side: 'user', userId: 31, nickname: '李雷' });
  const other = switchboard.as({ side: 'user', userId: 32 });
  const anna = switchboard.as({ side: 'admin', userId: 7 });
  const { sessionId, seq } = await lilei.send({ content: 'hi', clientMessageId: 'm1' });
  expect(seq).toBe(1);
  expect(await lilei.send({ content: 'hi', clientMessageId: 'm1', sessionId })).toMatchObject({
    seq: 1,
    duplicate: true,
  });
  expect((await lilei.currentSession())?.sessionId).toBe(sessionId);
  await expect(other.messages(sessionId)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await expect(lilei.sessions()).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await expect(lilei.send({ content: '' })).rejects.toMatchObject({ code: 'INVALID_PARAMETER' });
  await expect(lilei.send({ content: 'x', sessionId: 'a b' })).rejects.toMatchObject({ fault: { field: 'sessionId' } });
  await expect(anna.sessions({ page: 0 })).rejects.toMatchObject({ fault: { field: 'page' } });
  await expect(lilei.rate(sessionId, 6)).rejects.toMatchObject({ fault: { field: 'score' } });
  expect(() => switchboard.as({ side: 'user', userId: 0 })).toThrow(/userId/);

  expect(await anna.claim(sessionId)).toMatchObject({ status: 'active', adminId: 7 });
  expect(await anna.transfer(sessionId, 8)).toMatchObject({ adminId: 8 });
  expect(await anna.close(sessionId)).toMatchObject({ status: 'closed' });
  expect(await lilei.rate(sessionId, 4)).toMatchObject({ rating: { score: 4 } });
  expect((await anna.sessions({ status: 'closed' })).sessions).toMatchObject([
    { sessionId, userInfo: { nickname: '李雷' } },
  ]);
  expect((await anna.messages(sessionId)).messages).toMatchObject([{ content: 'hi' }]);
});

test('every setting can be given by its name', () => {
  const names: Readonly<Record<SettingName, true>> = {
    PORT: true,
    HOST: true,
    DATABASE_URL: true,
    REDIS_URL: true,
    JWT_SECRET: true,
    JWT_PUBLIC_KEY: true,
    JWKS_URL: true,
    JWT_CLAIM_USER_ID: true,
    JWT_CLAIM_ROLES: true,
    JWT_CLAIM_NICKNAME: true,
    JWT_CLAIM_AVATAR: true,
    JWT_ADMIN_WHEN: true,
    JWT_ISSUER: true,
    JWT_AUDIENCE: true,
    JWT_LEEWAY_SECONDS: true,
    TZ_BUSINESS: true,
    ALLOWED_ORIGINS: true,
    LOG_LEVEL: true,
    RATE_LIMIT: true,
    FRAME_NAMES: true,
    MAX_ACTIVE_SESSIONS_PER_ADMIN: true,
    ADMIN_OFFLINE_GRACE_SECONDS: true,
    DATA_DIR: true,
    DATABASE_WAIT_SECONDS: true,
    TRUST_PROXY: true,
  };
  expect(Object.keys(names).sort()).toEqual(settings.map(({ name }) => name).sort());
});
