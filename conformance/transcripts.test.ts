/**
 * What connections that never say `hello` hear in whole scenes, frame by frame, as recorded in `transcripts/`: front
 * ends from before must find what they found. Around them clients that did say hello resume, ping and send receipts.
 * `npm test -- conformance/transcripts.test.ts -u` records anew; what then differs is a change of the contract.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type Booted, bootHere } from './boot.ts';
import { GreetedPeer } from './greeted-peer.ts';
import { frameTypes, type Peer } from './peer.ts';

type House = Booted['house'];

const ACCOUNT = { userId: 31, roles: ['user', 'admin'], nickname: '用户昵称' };
const folder = fileURLToPath(new URL('transcripts/', import.meta.url));

/** Behind a fence everything that was said has been heard. */
async function recorded(peers: Readonly<Record<string, Peer>>): Promise<string> {
  const heard: Record<string, unknown> = {};
  for (const [name, peer] of Object.entries(peers)) {
    await peer.fence();
    heard[name] = peer.frames;
  }
  return `${JSON.stringify(withPlaceholders(heard), null, 2)}\n`;
}

/** Ids by the order in which they first appear, and no times. */
function withPlaceholders(heard: unknown): unknown {
  const names = new Map<string, string>();
  return JSON.parse(JSON.stringify(heard), (_key, value: unknown) => {
    if (typeof value !== 'string') return value;
    if (/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value)) return '<time>';
    const kind = /^(msg|session)_[0-9a-z]{20,}$/.exec(value)?.[1];
    if (kind === undefined) return value;
    const name = names.get(value) ?? `<${kind} ${names.size + 1}>`;
    names.set(value, name);
    return name;
  });
}

/** Does everything that only clients of today do; nobody else may hear of it. */
async function goAbout(greeted: readonly GreetedPeer[], sessionId: string): Promise<void> {
  for (const peer of greeted) {
    const { upToSeq } = await peer.resume(sessionId, 0);
    for (const kind of ['delivered', 'read']) peer.send('receipt', { sessionId, kind, upToSeq });
    await peer.fence();
  }
}

async function say(peer: Peer, sessionId: string | undefined, content: string, more: object = {}): Promise<void> {
  peer.send({ type: 'send_message', data: { sessionId, content, messageType: 'text', ...more } });
  await peer.expectFrame('message_ack');
}

async function company(house: House, userId: number, adminId: number): Promise<GreetedPeer[]> {
  const both = (id: number): string => house.token({ ...ACCOUNT, userId: id });
  return [await GreetedPeer.open(house.url, both(userId)), await GreetedPeer.open(house.url, both(adminId), 'admin')];
}

describe('a connection that never said hello hears what is recorded', () => {
  test('R4.3 R2.11 account 31, user and admin at once, by the frames of the document', async () => {
    const { house } = await bootHere();
    const token = house.token(ACCOUNT);
    const admin = await house.connect(token, { query: { type: 'admin', role: 'admin' } });
    const user = await house.connect(token);
    const greeted = await company(house, 31, 31);
    const sessionId = 'session_abc123';
    await say(user, sessionId, '用户消息内容', { senderInfo: { userId: 31, userType: 'user' } });
    await admin.expectStatus(sessionId, 'active', 31);
    await goAbout(greeted, sessionId);
    const rest = house.rest('/admin/chat', token);
    await rest.reply(sessionId, { content: '管理员回复内容', messageType: 'text', adminId: 31 });
    await user.expectFrame('new_admin_message');
    await say(admin, sessionId, '管理员的第二条', { senderInfo: { userId: 31, userType: 'admin' } });
    await goAbout(greeted, sessionId);
    await house.rest('/chat', token).rate(sessionId, { score: 5, comment: '很好' });
    await rest.change(sessionId, 'close');
    await user.expectStatus(sessionId, 'closed', 31);
    await goAbout(greeted, sessionId);
    await expect(await recorded({ user, admin })).toMatchFileSnapshot('transcripts/account-31.json');
  });

  test('R4.3 R4.18 a user and an admin: waiting, assignment, reply, close, reopening by a message, transfer, reopening', async () => {
    const { house } = await bootHere();
    const user = await house.user(41);
    const early = await GreetedPeer.open(house.url, house.userToken(41));
    await say(user, undefined, '有人吗');
    const { sessionId } = user.of('message_ack')[0]?.data ?? { sessionId: '' };
    await goAbout([early], sessionId);
    const admin = await house.admin(51);
    await admin.expectStatus(sessionId, 'active', 51);
    const greeted = await company(house, 41, 51);
    await say(user, undefined, '我的订单');
    await admin.expectFrame('new_user_message');
    await say(admin, sessionId, '请稍等', { attachments: [{ url: 'https://example.com/a.png', name: 'a.png' }] });
    await user.expectFrame('new_admin_message');
    await goAbout(greeted, sessionId);
    const rest = house.adminRest(51);
    await rest.change(sessionId, 'close');
    await user.expectStatus(sessionId, 'closed', 51);
    await say(user, sessionId, '还有一个问题');
    await admin.expectFrame('new_user_message');
    const colleague = await house.admin(52);
    await rest.change(sessionId, 'transfer', { adminId: 52 });
    await user.expectStatus(sessionId, 'active', 52);
    await say(user, sessionId, '你好，新客服');
    await colleague.expectFrame('new_user_message');
    await goAbout(greeted, sessionId);
    await house.adminRest(52).change(sessionId, 'close');
    await house.adminRest(52).change(sessionId, 'reopen');
    await expect(await recorded({ user, admin, colleague })).toMatchFileSnapshot('transcripts/session-life.json');
  });

  test('R4.3 R4.20 repeats, conflicts and refusals', async () => {
    const { house } = await bootHere();
    const [user, admin] = [await house.user(61), await house.admin(71)];
    const sessionId = 'refusals';
    await say(user, sessionId, '第一条', { clientMessageId: 'c-1' });
    await admin.expectStatus(sessionId, 'active', 71);
    const greeted = await company(house, 61, 71);
    await goAbout(greeted, sessionId);
    await say(user, sessionId, '第一条', { clientMessageId: 'c-1' });
    await say(user, undefined, '第一条', { clientMessageId: 'c-1' });
    const asked: readonly (readonly [Peer, unknown])[] = [
      [user, { type: 'send_message', requestId: 'r-1', data: { sessionId, content: '别的', clientMessageId: 'c-1' } }],
      [user, { type: 'send_message', requestId: 2, data: { sessionId, content: '  ' } }],
      [user, { type: 'send_message', data: { sessionId, content: 'x', senderInfo: { userId: 99, userType: 'user' } } }],
      [user, { type: 'resume', data: { sessions: [{ sessionId, afterSeq: 0 }] } }],
      [user, { type: 'nothing', data: {} }],
      [user, 'no JSON'],
      [admin, { type: 'send_message', data: { content: 'where?' } }],
      [admin, { type: 'send_message', data: { sessionId: 'unknown', content: 'hello' } }],
    ];
    for (const [peer, frame] of asked) {
      peer.send(frame);
      await peer.expectFrame('error');
    }
    const stranger = await house.user(62);
    stranger.send({ type: 'send_message', data: { sessionId, content: 'let me in' } });
    await stranger.expectFrame('error');
    await goAbout(greeted, sessionId);
    await expect(await recorded({ user, admin, stranger })).toMatchFileSnapshot('transcripts/refusals.json');
  });
});

/** The frames of the requirements document: every field of it, and of what type. */
const userInfo = { userId: 'number', nickname: 'string' };
const message = {
  messageId: 'string',
  senderId: 'number',
  senderType: 'string',
  content: 'string',
  messageType: 'string',
  createdAt: 'string',
};
const told = { sessionId: 'string', message, userInfo };
const document: Readonly<Record<string, object>> = {
  new_user_message: told,
  new_admin_message: told,
  session_status_changed: { sessionId: 'string', status: 'string', adminId: 'number', timestamp: 'string' },
};

function missing(value: unknown, wanted: object, path: string): string[] {
  return Object.entries(wanted).flatMap(([key, type]: [string, unknown]) => {
    const found = (value as Record<string, unknown> | undefined)?.[key];
    if (typeof type === 'object' && type !== null) return missing(found, type, `${path}.${key}`);
    const fits = typeof found === type || (key === 'adminId' && found === null);
    return fits ? [] : [`${path}.${key} is ${JSON.stringify(found)}`];
  });
}

test('R4.3 R4.13 R4.16 R4.18 the transcripts hold the five frames and no other, with every field of the document', () => {
  const types = new Set<string>();
  for (const file of readdirSync(folder)) {
    const heard = JSON.parse(readFileSync(folder + file, 'utf8')) as Record<string, { type: string; data: unknown }[]>;
    for (const { type, data } of Object.values(heard).flat()) {
      types.add(type);
      expect(missing(data, document[type] ?? {}, `${file}: ${type}`)).toEqual([]);
    }
  }
  expect([...types].toSorted()).toEqual(frameTypes.toSorted());
});
