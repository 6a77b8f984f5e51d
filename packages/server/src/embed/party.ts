import {
  AssigneeBody,
  checker,
  ListSessionsQuery,
  type Message,
  MessagesQuery,
  type Pagination,
  RatingBody,
  SendMessageBody,
  type Session,
  type SessionPagination,
  SessionParams,
} from '@switchboard/protocol';
import type { HostAccount } from './account.ts';
import type { Caller, Chat } from '../domain/chat.ts';
import { iso } from '../domain/views.ts';

/** On whose behalf the host's code acts. */
export interface Behalf extends Pick<HostAccount, 'userId' | 'nickname' | 'avatar'> {
  readonly side: 'user' | 'admin';
}

/** What the host's code sends. */
export interface Sending extends Omit<SendMessageBody, 'adminId'> {
  /** An admin must name it; a user's message goes to their open session, or opens one. */
  readonly sessionId?: string;
}

export interface Sent {
  readonly sessionId: string;
  readonly messageId: string;
  readonly seq: number;
  readonly timestamp: string;
  /** True when a message with this `clientMessageId` was there already. */
  readonly duplicate: boolean;
}

const check = {
  params: checker(SessionParams),
  message: checker(SendMessageBody),
  assignee: checker(AssigneeBody),
  rating: checker(RatingBody),
  sessions: checker(ListSessionsQuery),
  messages: checker(MessagesQuery),
};

/**
 * What a user or an admin can do, done by the host's own code: with the same rules and permissions as by REST, without
 * a token. Every method throws `ChatError` for what is not allowed.
 */
export class Party {
  readonly #chat: Chat;
  readonly #caller: Caller;

  constructor(chat: Chat, { side, userId, nickname, avatar }: Behalf) {
    this.#chat = chat;
    const identity = { id: userId, nickname: nickname ?? '', avatar: avatar ?? '' };
    check.assignee({ adminId: userId }, 'userId');
    this.#caller = { actor: { type: side, id: userId }, identity, connection: null, address: '' };
  }

  /** Resolves when the message is stored. */
  async send({ sessionId, ...body }: Sending): Promise<Sent> {
    if (sessionId !== undefined) check.params({ sessionId });
    check.message(body);
    const { content, messageType = 'text', attachments = [], clientMessageId = null } = body;
    const input = { sessionId: sessionId ?? null, content, messageType, attachments, clientMessageId };
    const { message, duplicate } = await this.#chat.sendAndWait(this.#caller, input);
    if (!message) throw new Error('a message was sent and none came back');
    const { messageId, seq, createdAt } = message;
    return { sessionId: message.sessionId, messageId, seq, timestamp: iso(createdAt), duplicate };
  }

  async sessions(
    query: ListSessionsQuery = {},
  ): Promise<{ sessions: Session[]; totalCount: number; pagination: SessionPagination }> {
    check.sessions(query);
    return this.#chat.sessions(this.#caller, query);
  }

  async session(sessionId: string): Promise<Session> {
    return this.#chat.session(this.#caller, checked(sessionId));
  }

  /** The user's session that is not closed. */
  async currentSession(): Promise<Session | null> {
    return this.#chat.currentSession(this.#caller);
  }

  async messages(
    sessionId: string,
    query: MessagesQuery = {},
  ): Promise<{ messages: Message[]; totalCount: number; pagination: Pagination }> {
    check.messages(query);
    return this.#chat.messages(this.#caller, checked(sessionId), query);
  }

  async claim(sessionId: string): Promise<Session> {
    return this.#chat.claim(this.#caller, checked(sessionId));
  }

  async assign(sessionId: string, adminId: number): Promise<Session> {
    check.assignee({ adminId });
    return this.#chat.assign(this.#caller, checked(sessionId), adminId);
  }

  async transfer(sessionId: string, adminId: number): Promise<Session> {
    check.assignee({ adminId });
    return this.#chat.transfer(this.#caller, checked(sessionId), adminId);
  }

  async close(sessionId: string): Promise<Session> {
    return this.#chat.close(this.#caller, checked(sessionId));
  }

  async reopen(sessionId: string): Promise<Session> {
    return this.#chat.reopen(this.#caller, checked(sessionId));
  }

  async rate(sessionId: string, score: number, comment = ''): Promise<Session> {
    check.rating({ score, comment });
    return this.#chat.rate(this.#caller, checked(sessionId), score, comment);
  }
}

function checked(sessionId: string): string {
  check.params({ sessionId });
  return sessionId;
}
