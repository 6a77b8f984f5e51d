/** Lines that are dead without either end being told, by the clock on the wall: all at once, since it is mostly waiting. */
import { expect, onTestFinished, test } from 'vitest';
import { startTcpProxy } from '../../../testing/tcp-proxy.ts';
import { useChat } from './support/chat.ts';
import { leaky } from './support/leaky.ts';

const chat = useChat();
const LONG = 120_000;
/** What is promised, and what a busy machine may add. */
const NOTICED_MS = 35_000 + 5_000;
/** The period of the heartbeat, and of the server's look at its connections. */
const BEAT_MS = 25_000 + 1_000 + 5_000;

async function goDead(direction: 'up' | 'down' | 'both'): Promise<void> {
  const proxy = await startTcpProxy({ port: chat.server.port });
  onTestFinished(() => proxy.close());
  const user = await chat.user({ url: `http://127.0.0.1:${proxy.port}` }).online();
  const { sessionId } = await user.client.send({ content: 'still here' });
  const online = async (): Promise<boolean> => {
    const { session } = await chat.rest('GET', `/api/admin/chat/sessions/${sessionId}`);
    return (session as { isOnline: boolean }).isOnline;
  };
  expect(await online()).toBe(true);
  // Both ends went on to believe in it until now.
  proxy.blackhole(direction);
  // A new line would be half-open as well, and the server would believe in that one.
  proxy.refuse();
  const since = performance.now();
  const waited = (): number => performance.now() - since;
  const client = user.until('the client to notice', () => user.client.state !== 'online', LONG).then(waited);
  const gone = async (): Promise<number> => {
    await expect.poll(online, { timeout: LONG, interval: 200 }).toBe(false);
    return waited();
  };
  const [byClient, byServer] = await Promise.all([client, gone()]);
  expect(byClient, 'the client').toBeLessThan(NOTICED_MS);
  expect(byServer, 'the server').toBeLessThan(NOTICED_MS);
  await chat.rest('POST', `/api/admin/chat/sessions/${sessionId}/messages`, { content: 'missed' });
  proxy.resume();
  await proxy.accept();
  await user.until('what was missed', () => user.heard.includes('missed'), LONG);
}

async function loseTheLast(): Promise<void> {
  let lose = true;
  const user = chat.user({ WebSocket: leaky((frame) => lose && frame.type === 'new_admin_message') });
  await user.online();
  const { sessionId } = await user.client.send({ content: 'hello' });
  await chat.rest('POST', `/api/admin/chat/sessions/${sessionId}/messages`, { content: 'lost' });
  const since = performance.now();
  await user.until('the lost one', () => user.heard.includes('lost'), LONG);
  lose = false;
  expect(performance.now() - since).toBeLessThan(BEAT_MS);
  expect(user.of('state').map(({ state }) => state)).toEqual(['connecting', 'greeting', 'online']);
}

test(
  'a line on which nothing passes is noticed by both ends within 35 s, a last message that was lost within one heartbeat',
  async () => {
    await Promise.all([goDead('up'), goDead('down'), goDead('both'), loseTheLast()]);
  },
  LONG * 3,
);
