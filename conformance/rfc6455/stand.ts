/** One server for a file of raw-frame tests, and a neighbour who must not notice any of them. */
import assert from 'node:assert/strict';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import type { Switchboard } from '../../testing/switchboard.ts';
import { boot } from '../boot.ts';
import { House, newId } from '../house.ts';
import { Peer } from '../peer.ts';
import { handshake, RawPeer, request } from './raw-peer.ts';
import { frame, TEXT } from './wire.ts';

/** Protocol error; data of the wrong kind; too much. */
export const PROTOCOL_ERROR = 1002;
export const NOT_UTF8 = 1007;
export const TOO_LARGE = 1009;

export interface Stand {
  /** `/chat?token=…` of a new user. */
  readonly target: () => string;
  readonly host: () => string;
  /** A socket on which nothing was sent yet. */
  readonly dial: () => RawPeer;
  /** A connection of a new user, past its handshake. */
  readonly open: () => Promise<RawPeer>;
  readonly house: House;
  /** Checks that these bytes are taken, and that the connection goes on: the message in them has this requestId. */
  readonly taken: (peer: RawPeer, segments: readonly Buffer[], requestId: string) => Promise<Record<string, unknown>>;
  /** Checks that these bytes end their connection with one of these codes, and that nothing after them is looked at. */
  readonly fails: (segments: readonly Buffer[], codes: readonly number[]) => Promise<void>;
}

let count = 0;

/** The payload of a message that is acknowledged under this requestId. */
export function message(requestId: string, content = '你好'): string {
  return JSON.stringify({ type: 'send_message', requestId, data: { content } });
}

export function newRequest(): string {
  return `raw-${++count}`;
}

export function useStand(): Stand {
  let server: Switchboard;
  const house = new House(() => server);
  const peers: RawPeer[] = [];
  let neighbour: Peer;
  beforeAll(async () => {
    server = await boot();
    neighbour = await Peer.open(house.url, house.userToken(newId()));
  });
  afterAll(() => server.remove());
  afterEach(async () => {
    for (const peer of peers.splice(0)) peer.socket.destroy();
    expect(await neighbour.say('still here')).toMatchObject({ status: 'sent' });
    expect(server.records.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([]);
  });

  const host = (): string => new URL(house.url).host;
  const target = (): string => `/chat?token=${house.userToken(newId())}`;
  const dial = (): RawPeer => {
    const peer = new RawPeer(house.url);
    peers.push(peer);
    return peer;
  };
  const open = async (): Promise<RawPeer> => {
    const peer = dial();
    const { status } = await peer.shake(request('GET', target(), handshake(host())));
    assert.equal(status, 101);
    return peer;
  };
  const taken: Stand['taken'] = async (peer, segments, requestId) => {
    await peer.write(...segments);
    const reply = await peer.reply(requestId);
    expect(reply).toMatchObject({ type: 'message_ack', data: { status: 'sent' } });
    const next = newRequest();
    await peer.write(frame(TEXT, message(next, 'and on')));
    expect(await peer.reply(next)).toMatchObject({ type: 'message_ack' });
    return reply.data;
  };
  const fails: Stand['fails'] = async (segments, codes) => {
    const peer = await open();
    const after = frame(TEXT, message('after', 'must not be looked at'));
    const last = segments.at(-1) ?? Buffer.alloc(0);
    await peer.write(...segments.slice(0, -1), Buffer.concat([last, after]));
    const heard = await peer.untilClose();
    const { payload } = heard.pop() as { payload: Buffer };
    expect(codes).toContain(payload.length === 0 ? 1005 : payload.readUInt16BE(0));
    // Nothing but a refusal of what was too large may come before; least of all an acknowledgement of what came after.
    for (const each of heard) expect(each.payload.toString('utf8')).not.toContain('"after"');
    await peer.finish();
  };
  return { target, host, dial, open, house, taken, fails };
}
