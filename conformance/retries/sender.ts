import type { Switchboard } from '../../testing/switchboard.ts';
import { type Heard, Line } from './line.ts';

/** The one admin of a run: whatever is said reaches all of this account's connections. */
export const ADMIN = 7;

export interface Payload {
  readonly content: string;
  readonly messageType: 'text' | 'file';
  readonly attachments: readonly { readonly url: string }[];
}

/** A message, and what became of it. */
export interface Message extends Payload {
  readonly clientMessageId: string;
  /** Of the first ack: where every other one must say that it is. */
  stored: { readonly sessionId: string; readonly messageId: string; readonly seq: number } | null;
  /** Acks that did not call it a duplicate: there must be one. */
  fresh: number;
}

export interface Outcome {
  readonly stored: Message['stored'];
  readonly duplicate: boolean;
  /** Of a refusal. */
  readonly code: string | null;
}

/** Hands a message in. `sessionId` null names no session. */
type Way = (message: Message, sessionId: string | null, payload?: Payload) => Promise<Outcome>;

/** Somebody who hands messages in by several ways. */
export interface Sender {
  readonly ways: readonly Way[];
  /** May leave the session out. */
  readonly nameless: boolean;
  readonly messages: Message[];
  /** Where the next message goes; null where the server likes. */
  sessionId: string | null;
  /** Ends the session, if this sender can. */
  readonly close: ((sessionId: string) => Promise<void>) | null;
  readonly leave: () => void;
}

/** A user with two connections. */
export async function userSender(server: Switchboard, id: number): Promise<Sender> {
  const token = server.token({ userId: id });
  const lines = await Promise.all([1, 2].map(() => Line.open(`${server.wsUrl}/chat?token=${token}`)));
  return {
    ways: lines.map(byLine),
    nameless: true,
    messages: [],
    sessionId: null,
    async close(sessionId) {
      await post(`${server.url}/chat/sessions/${sessionId}/close`, token, {});
    },
    leave: () => lines.forEach((line) => line.leave()),
  };
}

/** The admin, who replies in one session by two connections and two kinds of request. */
export async function adminSender(server: Switchboard, sessionId: string): Promise<Sender> {
  const token = server.token({ userId: ADMIN, roles: ['admin'] });
  const lines = await Promise.all([1, 2].map(() => Line.open(`${server.wsUrl}/chat?token=${token}&type=admin`)));
  return {
    ways: [...lines.map(byLine), byRest(server, token, 'header'), byRest(server, token, 'body')],
    nameless: false,
    messages: [],
    sessionId,
    close: null,
    leave: () => lines.forEach((line) => line.leave()),
  };
}

const bare = ({ content, messageType, attachments }: Payload): Payload => ({ content, messageType, attachments });

function byLine(line: Line): Way {
  return async (message, sessionId, payload = message) => {
    const { clientMessageId } = message;
    const named = sessionId === null ? {} : { sessionId };
    return outcome(await line.ask('send_message', { ...bare(payload), ...named, clientMessageId }));
  };
}

function outcome({ type, data }: Heard): Outcome {
  if (type === 'error') return { stored: null, duplicate: false, code: String(data['code']) };
  const { sessionId, messageId, seq } = data as unknown as NonNullable<Message['stored']>;
  return { stored: { sessionId, messageId, seq }, duplicate: data['duplicate'] === true, code: null };
}

function byRest(server: Switchboard, token: string, key: 'header' | 'body'): Way {
  return async (message, sessionId, payload = message) => {
    const { clientMessageId } = message;
    const url = `${server.url}/admin/chat/sessions/${sessionId}/messages`;
    const answer =
      key === 'header'
        ? await post(url, token, bare(payload), { 'idempotency-key': clientMessageId })
        : await post(url, token, { ...bare(payload), clientMessageId });
    if (!answer.success) return { stored: null, duplicate: false, code: answer.error.code };
    const { messageId, seq, duplicate } = answer.data;
    return { stored: { sessionId: String(sessionId), messageId, seq }, duplicate: duplicate === true, code: null };
  };
}

interface Answer {
  readonly success: boolean;
  readonly data: { readonly messageId: string; readonly seq: number; readonly duplicate?: boolean };
  readonly error: { readonly code: string };
}

async function post(url: string, token: string, body: object, headers: object = {}): Promise<Answer> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return (await answer.json()) as Answer;
}
