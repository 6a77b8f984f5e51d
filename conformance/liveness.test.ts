/** What takes its time: silence, slowness, tokens that run out. All at once, since each of them is mostly waiting. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Switchboard } from '../testing/switchboard.ts';
import { boot } from './boot.ts';
import { eventually, House, newId } from './house.ts';
import { emoji } from './scenes.ts';

let server: Switchboard;
const house = new House(() => server);
beforeAll(async () => {
  server = await boot();
});
afterAll(() => server.remove());

/** One of the server's own figures. */
async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${house.url}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.split(' ')[1] ?? 0);
}

test.concurrent('R4.23 a silent connection is asked, and one that does not answer is ended', async () => {
  const began = performance.now();
  const [dead, alive] = [await house.user(newId(), { autoPong: false }), await house.user(newId())];
  let asked = 0;
  alive.socket.on('ping', () => (asked += 1));
  const { code } = await dead.closed;
  const seconds = (performance.now() - began) / 1000;
  expect(code).toBe(1006);
  expect(seconds).toBeGreaterThan(30);
  expect(seconds).toBeLessThan(45);
  expect(asked).toBeGreaterThan(0);
  await alive.say('I answered');
});

test.concurrent('R2.14 R11.5 a connection ends with its token', async () => {
  const exp = Math.floor(Date.now() / 1000) + 5;
  const [one, other] = [
    await house.connect(house.token({ userId: newId(), exp })),
    await house.connect(house.token({ userId: newId(), roles: ['admin'], exp }), { query: { type: 'admin' } }),
  ];
  const lasting = await house.user(newId());
  await one.say('still good');
  for (const peer of [one, other]) {
    expect(await peer.closed).toEqual({ code: 4001, reason: expect.stringMatching(/new one/) });
    expect(Date.now() / 1000).toBeGreaterThanOrEqual(exp);
    expect(Date.now() / 1000).toBeLessThan(exp + 10);
  }
  await lasting.say('good for longer');
});

test.concurrent('R4.24 a connection that does not read is cut off, and holds nobody up', async () => {
  const adminId = newId();
  const [slow, quick] = [await house.admin(adminId), await house.admin(adminId)];
  const user = await house.user(newId());
  const { sessionId } = await user.say('hello');
  await house.adminRest(newId()).request('POST', `/sessions/${sessionId}/transfer`, { adminId });
  const ended = async (): Promise<number> =>
    (await metric('switchboard_closes_total{code="4008"}')) + (await metric('switchboard_closes_total{code="1006"}'));
  const before = await ended();
  slow.socket.pause();
  const content = emoji(10_000);
  let rounds = 0;
  await eventually(
    async () => {
      for (let i = 0; i < 20; i += 1) await user.say(content, { sessionId });
      rounds += 1;
      return (await ended()) > before;
    },
    'the slow one to be cut off',
    30_000,
  );
  await user.say('the last', { sessionId });
  await quick.expectFrame('new_user_message', (d) => d.message.content === 'the last');
  expect(quick.of('new_user_message').length).toBeGreaterThanOrEqual(rounds * 20 + 1);
  slow.socket.resume();
  // The advice reaches those who still read; a line that is cut says nothing.
  expect([4008, 1006]).toContain((await slow.closed).code);
  expect(slow.of('new_user_message').length).toBeLessThan(rounds * 20 + 1);
});
