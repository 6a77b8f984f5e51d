/** A hundred connections that stop reading: what they cost, how they end, and that nobody else notices. */
import { expect, test } from 'vitest';
import { bootHere } from './boot.ts';
import { GreetedPeer } from './greeted-peer.ts';
import { eventually, newId } from './house.ts';
import { emoji } from './scenes.ts';

const STALLED = 100;
const MEBIBYTE = 1024 * 1024;
const LONG = 180_000;

test(
  'R4.24 R14.4 a hundred stalled readers cost a megabyte and a half each at most, end with 4008, and catch up',
  async () => {
    const { server, house } = await bootHere();
    const metric = async (name: string): Promise<number> => {
      const text = await (await fetch(`${server.url}/metrics`)).text();
      const line = text.split('\n').find((each) => each.startsWith(`${name} `));
      return Number(line?.split(' ')[1] ?? 0);
    };
    const resident = (): Promise<number> => metric('process_resident_memory_bytes');
    const token = house.userToken(newId());
    const [admin, neighbour] = [house.adminRest(newId()), await house.user(newId())];
    const reading = await GreetedPeer.open(server.url, token);
    const { sessionId } = await reading.say({ content: 'I read' });
    const stalled = await Promise.all(Array.from({ length: STALLED }, () => GreetedPeer.open(server.url, token)));
    let messages = 0;
    const reply = async (): Promise<void> => {
      messages += 1;
      await admin.reply(sessionId, { content: emoji(10_000) });
    };
    const round = (): Promise<unknown> => Promise.all(Array.from({ length: 10 }, reply));
    // What is garbage here is garbage there: the peak is measured from that of the same traffic with nobody stalled.
    let before = 0;
    for (let i = 0; i < 5; i++) {
      await round();
      // Nothing may wait for anybody: that is what is measured.
      await Promise.all(stalled.map((peer) => peer.fence()));
      before = Math.max(before, await resident());
    }
    for (const peer of stalled) peer.socket.pause();

    let most = 0;
    await eventually(
      async () => {
        await round();
        most = Math.max(most, await resident());
        await neighbour.say('meanwhile');
        return (await metric('switchboard_closes_total{code="4008"}')) === STALLED;
      },
      'all of them to be closed with 4008',
      LONG,
    );
    const each = (most - before) / STALLED / MEBIBYTE;
    expect(each, `${each.toFixed(2)} MiB each`).toBeLessThan(1.5);
    const { seq: last } = await reading.say({ content: 'the last' });
    // Who reads was told everything once, and nothing else was closed.
    expect(reading.frames.filter(({ type }) => type === 'new_admin_message').length).toBe(messages);
    expect(await metric('switchboard_closes_total{code="1006"}')).toBe(0);

    for (const peer of stalled) peer.socket.terminate();
    const all = Array.from({ length: last }, (_, i) => i + 1);
    for (let i = 0; i < 5; i++) {
      const back = await GreetedPeer.open(server.url, token);
      back.send('resume', { sessions: [{ sessionId, afterSeq: 0 }] });
      const { upToSeq } = await back.expect('resumed', () => true, LONG);
      expect(upToSeq).toBe(last);
      expect(back.told(sessionId)).toEqual(all);
      await back.leave();
    }
  },
  LONG,
);
