/** Catching up with more than may wait for a reader at once. */
import { expect, test } from 'vitest';
import { useServer } from './boot.ts';
import { GreetedPeer } from './greeted-peer.ts';
import { newId } from './house.ts';
import { emoji } from './scenes.ts';

const { house } = useServer();
const LONG = 60_000;
const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);

test('R14.4 a log of five megabytes is caught up with on one connection', async () => {
  const token = house.userToken(newId());
  const user = await house.connect(token);
  const sessionId = `long-${newId()}`;
  for (let i = 0; i < 120; i++) await user.say(emoji(10_000), { sessionId });
  const peer = await GreetedPeer.open(house.url, token);
  peer.send('resume', { sessions: [{ sessionId, afterSeq: 0 }] });
  // What happens meanwhile comes behind it.
  const meanwhile = Array.from({ length: 40 }, () => user.say(emoji(10_000), { sessionId }));
  await peer.expect('resumed', () => true, LONG);
  await Promise.all(meanwhile);
  await peer.fence();
  expect(peer.told(sessionId)).toEqual(upTo(160));
  await peer.leave();
}, 180_000);

test('R14.4 two hundred logs at once, three megabytes together, are caught up with on one connection', async () => {
  const token = house.userToken(newId());
  const user = await house.connect(token);
  const ids = Array.from({ length: 200 }, (_, i) => `one-of-many-${newId()}-${i}`);
  await Promise.all(ids.map((sessionId) => user.say(emoji(4_000), { sessionId })));
  const peer = await GreetedPeer.open(house.url, token);
  peer.send('resume', { sessions: ids.map((sessionId) => ({ sessionId, afterSeq: 0 })) });
  for (const id of ids) await peer.expect('resumed', ({ sessionId }) => sessionId === id, LONG);
  for (const id of ids) expect(peer.told(id)).toEqual([1]);
  await peer.fence();
  await peer.leave();
}, 180_000);
