/** RFC 6455, section 4: the opening handshake. */
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { newId } from '../house.ts';
import { ACCEPT, acceptFor, type Answer, handshake, type Header, KEY, type RawPeer, request } from './raw-peer.ts';
import { message, newRequest, useStand } from './stand.ts';
import { CLOSE, closing, frame, TEXT } from './wire.ts';

const stand = useStand();

const without = (headers: readonly Header[], name: string): Header[] =>
  headers.filter(([each]) => each.toLowerCase() !== name.toLowerCase());
const replaced = (name: string, ...values: string[]): Header[] => [
  ...without(handshake(stand.host()), name),
  ...values.map((value): Header => [name, value]),
];

async function shake(headers: readonly Header[], method = 'GET', version = '1.1'): Promise<[Answer, RawPeer]> {
  const peer = stand.dial();
  return [await peer.shake(request(method, stand.target(), headers, version)), peer];
}

async function letIn(headers: readonly Header[]): Promise<Answer> {
  const [answer, peer] = await shake(headers);
  expect(answer).toMatchObject({ status: 101, version: '1.1' });
  expect(answer.headers.get('upgrade')?.map((value) => value.toLowerCase())).toEqual(['websocket']);
  expect(answer.headers.get('connection')?.map((value) => value.toLowerCase())).toEqual(['upgrade']);
  const requestId = newRequest();
  await stand.taken(peer, [frame(TEXT, message(requestId))], requestId);
  return answer;
}

describe('4.2.2 the answer', () => {
  test('4.2.2 the key of the RFC gets the answer of the RFC', async () => {
    const answer = await letIn(handshake(stand.host()));
    expect(answer.headers.get('sec-websocket-accept')).toEqual([ACCEPT]);
  });

  test.each(['AQIDBAUGBwgJCgsMDQ4PEA==', 'x3JJHMbDL1EzLkh9GBhXDw==', '//////////////////////==', KEY])(
    '4.2.2 the key %s gets its own answer',
    async (key) => {
      const answer = await letIn(replaced('Sec-WebSocket-Key', key));
      expect(answer.headers.get('sec-websocket-accept')).toEqual([acceptFor(key)]);
    },
  );

  test('4.2.2 nothing is chosen where nothing was offered', async () => {
    const { headers } = await letIn(handshake(stand.host()));
    expect(headers.has('sec-websocket-protocol')).toBe(false);
    expect(headers.has('sec-websocket-extensions')).toBe(false);
  });
});

describe('4.2.1 what a client may write', () => {
  test.each<[string, () => Header[]]>([
    ['Upgrade in capitals', () => replaced('Upgrade', 'WEBSOCKET')],
    ['Upgrade in mixed case', () => replaced('Upgrade', 'WebSocket')],
    ['Connection in lower case', () => replaced('Connection', 'upgrade')],
    ['Connection in capitals', () => replaced('Connection', 'UPGRADE')],
    ['Connection as a list', () => replaced('Connection', 'keep-alive, Upgrade')],
    ['Connection as a list, Upgrade first', () => replaced('Connection', 'Upgrade, keep-alive')],
    ['Connection as a list without spaces', () => replaced('Connection', 'keep-alive,Upgrade')],
    ['Connection as two headers', () => replaced('Connection', 'keep-alive', 'Upgrade')],
    ['header names in capitals', () => handshake(stand.host()).map(([n, v]): Header => [n.toUpperCase(), v])],
    ['header names in lower case', () => handshake(stand.host()).map(([n, v]): Header => [n.toLowerCase(), v])],
    ['headers in another order', () => handshake(stand.host()).toReversed()],
    ['white space around values', () => handshake(stand.host()).map(([n, v]): Header => [n, `  ${v}`])],
    ['further headers', () => [...handshake(stand.host()), ['Cookie', 'a=b'], ['X-Forwarded-For', '10.0.0.1']]],
    ['Sec-WebSocket-Version 13 with white space', () => replaced('Sec-WebSocket-Version', ' 13 ')],
  ])('4.2.1 %s is let in', async (_what, headers) => {
    await letIn(headers());
  });

  test('4.2.1 a handshake that comes byte by byte is let in', async () => {
    const peer = stand.dial();
    const bytes = request('GET', stand.target(), handshake(stand.host()));
    const { status } = await peer.shake(Array.from(bytes, (byte) => Buffer.from([byte])));
    expect(status).toBe(101);
    const requestId = newRequest();
    await stand.taken(peer, [frame(TEXT, message(requestId))], requestId);
  });

  test('4.2.1 frames that come in the segment of the handshake are read', async () => {
    const [one, two] = [newRequest(), newRequest()];
    const peer = stand.dial();
    const head = request('GET', stand.target(), handshake(stand.host()));
    const { status } = await peer.shake(
      Buffer.concat([head, frame(TEXT, message(one)), frame(TEXT, message(two, 'another'))]),
    );
    expect(status).toBe(101);
    for (const requestId of [one, two]) expect(await peer.reply(requestId)).toMatchObject({ type: 'message_ack' });
  });

  test.each<[string, Buffer, number]>([
    ['a close frame', frame(CLOSE, closing(4001)), 4001],
    ['a wrong frame', frame(TEXT, 'x', { rsv: 4 }), 1002],
    ['a message that is too large', frame(TEXT, 'x'.repeat(65_537)), 1009],
  ])('4.2.1 %s in the segment of the handshake ends the connection as any other', async (_what, bytes, code) => {
    const peer = stand.dial();
    const head = request('GET', stand.target(), handshake(stand.host()));
    const { status } = await peer.shake(Buffer.concat([head, bytes, frame(TEXT, message('after'))]));
    expect(status).toBe(101);
    expect((await peer.untilClose()).at(-1)?.payload.readUInt16BE(0)).toBe(code);
    await peer.finish(code);
  });

  test('4.2.1 more messages in the segment of the handshake than may wait at once are read, in order', async () => {
    const peer = stand.dial();
    const head = request('GET', stand.target(), handshake(stand.host()));
    const ids = Array.from({ length: 600 }, () => newRequest());
    await peer.shake(Buffer.concat([head, ...ids.map((id) => frame(TEXT, message(id, id)))]));
    const seqs: number[] = [];
    for (const id of ids) seqs.push((await peer.reply(id)).data['seq'] as number);
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  });

  test('4.2.1 half a frame in the segment of the handshake is read with its other half', async () => {
    const requestId = newRequest();
    const peer = stand.dial();
    const bytes = frame(TEXT, message(requestId));
    const head = request('GET', stand.target(), handshake(stand.host()));
    await peer.shake([Buffer.concat([head, bytes.subarray(0, 9)]), bytes.subarray(9)]);
    expect(await peer.reply(requestId)).toMatchObject({ type: 'message_ack' });
  });
});

describe('4.2.1 what a server must not let in', () => {
  test.each<[string, () => Header[]]>([
    ['no Sec-WebSocket-Key', () => replaced('Sec-WebSocket-Key')],
    ['an empty key', () => replaced('Sec-WebSocket-Key', '')],
    ['a key that is no base64', () => replaced('Sec-WebSocket-Key', '!!!!!!!!!!!!!!!!!!!!!!==')],
    ['a key of 15 bytes', () => replaced('Sec-WebSocket-Key', Buffer.alloc(15, 7).toString('base64'))],
    ['a key of 17 bytes', () => replaced('Sec-WebSocket-Key', Buffer.alloc(17, 7).toString('base64'))],
    ['a key of 1 byte', () => replaced('Sec-WebSocket-Key', 'AA==')],
    ['a key without its padding', () => replaced('Sec-WebSocket-Key', KEY.slice(0, -2))],
    ['a key with something behind it', () => replaced('Sec-WebSocket-Key', `${KEY}x`)],
    ['two keys', () => replaced('Sec-WebSocket-Key', KEY, KEY)],
    ['no Upgrade', () => replaced('Upgrade')],
    ['Upgrade to something else', () => replaced('Upgrade', 'h2c')],
    ['Upgrade that only begins with websocket', () => replaced('Upgrade', 'websockets')],
    ['no Connection', () => replaced('Connection')],
    ['Connection without upgrade', () => replaced('Connection', 'keep-alive')],
    ['Connection close', () => replaced('Connection', 'close')],
  ])('4.2.1 %s is refused with 400', async (_what, headers) => {
    const [{ status }] = await shake(headers());
    expect(status).toBe(400);
  });

  test.each(['', '0', '7', '8', '12', '14', '-13', '13.5', '13x', 'thirteen', '999999999999'])(
    '4.2.2 Sec-WebSocket-Version "%s" is refused, and the answer names one that is spoken',
    async (version) => {
      const [{ status, headers }] = await shake(replaced('Sec-WebSocket-Version', version));
      expect(status).toBe(400);
      expect(headers.get('sec-websocket-version')?.join(', ')).toMatch(/\b13\b/);
    },
  );

  test('4.2.2 no Sec-WebSocket-Version is refused, and the answer names one that is spoken', async () => {
    const [{ status, headers }] = await shake(replaced('Sec-WebSocket-Version'));
    expect(status).toBe(400);
    expect(headers.get('sec-websocket-version')?.join(', ')).toMatch(/\b13\b/);
  });

  test.each(['POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'TRACE'])(
    '4.2.1 the method %s is refused',
    async (method) => {
      const [{ status }] = await shake([...handshake(stand.host()), ['Content-Length', '0']], method);
      expect(status).toBe(400);
    },
  );

  // Section 4.2.1 wants a Host, but nothing hangs on it here: whoever sends an Origin and no Host is refused by R4.2.
  // Node looks for it in every request but upgrades.
  test('4.2.1 no Host is served without one, but for a page', async () => {
    const [{ status }] = await shake(without(handshake(stand.host()), 'Host'));
    expect(status).toBe(101);
    const headers: Header[] = [...without(handshake(stand.host()), 'Host'), ['Origin', 'http://elsewhere.example']];
    expect((await shake(headers))[0].status).toBeGreaterThanOrEqual(400);
  });

  test.each(['1.0', '0.9', '2.7'])('4.2.1 HTTP/%s is refused', async (version) => {
    const [{ status }] = await shake(handshake(stand.host()), 'GET', version);
    expect(status).toBe(400);
  });

  test('4.2.1 headers without end are cut off', async () => {
    const [{ status }] = await shake([...handshake(stand.host()), ['X-Long', 'x'.repeat(100_000)]]);
    expect(status).toBe(431);
  });

  test('4.2.2 after a refusal the server ends the connection', async () => {
    const [{ status }, peer] = await shake(replaced('Sec-WebSocket-Version', '7'));
    expect(status).toBeGreaterThanOrEqual(400);
    await peer.body();
  });

  test('4.2.2 a refusal is JSON, like every other (R11.6)', async () => {
    const [{ headers }] = await shake(replaced('Sec-WebSocket-Version', '7'));
    expect(headers.get('content-type')).toEqual(['application/json; charset=utf-8']);
  });

  test('4.1 a client that goes before it is answered costs nothing', async () => {
    for (let i = 0; i < 20; i++) {
      const peer = stand.dial();
      await peer.write(request('GET', stand.target(), handshake(stand.host())));
      peer.socket.resetAndDestroy();
    }
  });

  test.each([
    ['refused', '/chat?token=x'],
    ['refused for its type', '/chat?token=x&type=none'],
    ['told that nothing is here', '/elsewhere'],
  ])('4.1 a client that goes before it is %s costs nothing', async (_what, path) => {
    const bytes = request('GET', path, handshake(stand.host()));
    for (let round = 0; round < 10; round++) {
      const peers = Array.from({ length: 30 }, () => stand.dial());
      await Promise.all(
        peers.map(async (peer) => {
          await once(peer.socket, 'connect');
          peer.socket.write(bytes, () => peer.socket.resetAndDestroy());
        }),
      );
    }
  });

  test('4.1 a client that never ends its handshake keeps nobody else waiting', async () => {
    const slow = Array.from({ length: 20 }, () => stand.dial());
    await Promise.all(slow.map((peer) => peer.write(Buffer.from('GET /chat HTTP/1.1\r\nHost: x\r\nUpgr'))));
    await letIn(handshake(stand.host()));
  });
});

describe('1.9 and 9 subprotocols and extensions', () => {
  test('4.2.2 of the pair bearer and token only bearer is chosen', async () => {
    const peer = stand.dial();
    const token = stand.house.userToken(newId());
    const offer: Header = ['Sec-WebSocket-Protocol', `bearer, ${token}`];
    const { status, headers } = await peer.shake(request('GET', '/chat', [...handshake(stand.host()), offer]));
    expect(status).toBe(101);
    expect(headers.get('sec-websocket-protocol')).toEqual(['bearer']);
  });

  test('4.2.2 the pair may come as two headers', async () => {
    const peer = stand.dial();
    const token = stand.house.userToken(newId());
    const offer: Header[] = ['bearer', token].map((each) => ['Sec-WebSocket-Protocol', each]);
    const { status, headers } = await peer.shake(request('GET', '/chat', [...handshake(stand.host()), ...offer]));
    expect(status).toBe(101);
    expect(headers.get('sec-websocket-protocol')).toEqual(['bearer']);
  });

  test.each(['chat', 'chat, superchat', 'graphql-ws,mqtt'])(
    '4.2.2 of protocols that are not spoken (%s) none is chosen',
    async (offered) => {
      const { headers } = await letIn([...handshake(stand.host()), ['Sec-WebSocket-Protocol', offered]]);
      expect(headers.has('sec-websocket-protocol')).toBe(false);
    },
  );

  test.each([',', 'a,,b', 'chat, chat', 'ch at', 'chat/1', '"chat"'])(
    '4.1 a malformed offer of protocols (%s) is passed over, and chooses none',
    async (offered) => {
      const { headers } = await letIn([...handshake(stand.host()), ['Sec-WebSocket-Protocol', offered]]);
      expect(headers.has('sec-websocket-protocol')).toBe(false);
    },
  );

  test.each([
    'permessage-deflate',
    'permessage-deflate; client_max_window_bits',
    'permessage-deflate; server_no_context_takeover, permessage-deflate; client_max_window_bits=15',
    'x-webkit-deflate-frame',
    'mux; max-channels=4; flow-control, deflate-stream',
    'permessage-deflate; server_max_window_bits=99',
  ])('9.1 of extensions (%s) none is negotiated', async (offered) => {
    const { headers } = await letIn([...handshake(stand.host()), ['Sec-WebSocket-Extensions', offered]]);
    expect(headers.has('sec-websocket-extensions')).toBe(false);
  });

  test.each([';', 'a=b=c', 'permessage-deflate;;', ',,'])(
    '9.1 a malformed offer of extensions (%s) is passed over',
    async (offered) => {
      const { headers } = await letIn([...handshake(stand.host()), ['Sec-WebSocket-Extensions', offered]]);
      expect(headers.has('sec-websocket-extensions')).toBe(false);
    },
  );
});
