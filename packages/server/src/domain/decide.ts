import { ChatError, conflict } from '@switchboard/protocol';
import type { Command, MessageCommand } from './command.ts';
import type { Actor, Cause, ChatMessage, SessionEvent, SessionState, StatusReason } from './session.ts';
import { SYSTEM } from './session.ts';

/**
 * The state machine of a session. Pure: the store calls it under the session's row lock, or has what it saw compared as
 * it writes, so what it sees is the truth.
 *
 *            first message                claim · assign · reply · auto-assign
 *   (none) ───────────────▶ waiting ───────────────────────────────────────────▶ active ⟲ transfer
 *                            ▲  ▲ │                                              │  │
 *         reopen · message   │  │ └── close ──────▶ closed ◀──── close ──────────┘  │
 *        ────────────────────┘  │                     │  └─ admin's reply ─▶ active │
 *                (from closed)  └─────────────────────│── the admin's grace is over ┘
 */
export interface Decision {
  readonly session: SessionState;
  readonly events: readonly SessionEvent[];
  readonly message: ChatMessage | null;
}

/**
 * Rules on one command.
 * @param session the state under lock; null when no session has this id
 * @throws ChatError SESSION_NOT_FOUND, FORBIDDEN or CONFLICT
 */
export function decide(session: SessionState | null, command: Command): Decision {
  const draft = new Draft(session ?? opened(command), command);
  switch (command.kind) {
    case 'message':
      message(draft, command);
      break;
    case 'claim':
      require(draft.session, ['waiting']);
      draft.status('claimed', 'active', command.by.id);
      break;
    case 'assign':
      require(draft.session, ['waiting']);
      draft.status('assigned', 'active', command.adminId);
      break;
    case 'transfer':
      require(draft.session, ['active']);
      if (draft.session.adminId === command.adminId) {
        throw conflict('adminId', 'already has this session', '该会话已由此管理员负责');
      }
      draft.status('transferred', 'active', command.adminId);
      break;
    case 'close':
      if (command.by.type === 'user') requireOwner(draft.session, command.by);
      require(draft.session, ['waiting', 'active']);
      draft.status('closed', 'closed', draft.session.adminId);
      break;
    case 'reopen':
      require(draft.session, ['closed']);
      draft.status('reopened', 'waiting', null);
      break;
    case 'rate':
      requireOwner(draft.session, command.by);
      require(draft.session, ['active', 'closed']);
      draft.rate(command.score, command.comment);
      break;
    case 'release':
      if (draft.session.status === 'active' && draft.session.adminId === command.adminId) {
        draft.status('admin_offline', 'waiting', null);
      }
      break;
    case 'auto_assign':
      break;
  }
  return draft;
}

/** Adds to a decision that a waiting session goes to this admin. */
export function assignTo(decision: Decision, adminId: number, at: number): Decision {
  const draft = new Draft(decision.session, { by: SYSTEM, at });
  draft.status('assigned', 'active', adminId);
  return { session: draft.session, events: [...decision.events, ...draft.events], message: decision.message };
}

/** True when the command left the session waiting for somebody, by its own doing. */
export function seeksAdmin(before: SessionState | null, after: SessionState, command: Command): boolean {
  if (after.status !== 'waiting') return false;
  return command.kind === 'auto_assign' || before?.status !== 'waiting';
}

function message(draft: Draft, command: MessageCommand): void {
  const { session } = draft;
  if (command.by.type === 'user') {
    requireOwner(session, command.by);
    if (session.status === 'closed') draft.status('reopened', 'waiting', null);
  } else if (session.status !== 'active') {
    draft.status(session.status === 'closed' ? 'reopened' : 'claimed', 'active', command.by.id);
  }
  draft.add(command);
}

/** A session that its user's first message opens. */
function opened(command: Command): SessionState {
  if (command.kind !== 'message' || command.by.type !== 'user') throw new ChatError('SESSION_NOT_FOUND');
  return {
    sessionId: command.sessionId,
    userId: command.by.id,
    nickname: '',
    avatar: '',
    adminId: null,
    lastAdminId: null,
    status: 'waiting',
    createdAt: command.at,
    waitingSince: command.at,
    closedAt: null,
    lastMessageTime: null,
    lastMessageId: null,
    messageCount: 0,
    lastSeq: 0,
    firstUserMessageAt: null,
    firstReplyAt: null,
    ratingScore: null,
    ratingComment: '',
    ratedAt: null,
  };
}

/** @throws ChatError FORBIDDEN when the actor is not the session's user */
export function requireOwner(session: SessionState, actor: Actor): void {
  if (actor.type !== 'user' || session.userId !== actor.id) throw new ChatError('FORBIDDEN');
}

function require(session: SessionState, allowed: readonly SessionState['status'][]): void {
  if (allowed.includes(session.status)) return;
  const holder = session.adminId === null ? '' : ` (adminId ${session.adminId})`;
  const wanted = allowed.join(' / ');
  throw conflict(
    'status',
    `is ${session.status}${holder}, but this needs ${wanted}`,
    `当前为 ${session.status}${holder}，该操作要求 ${wanted}`,
  );
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A session's state being moved forward, with the events that did it. */
class Draft implements Decision {
  readonly session: Mutable<SessionState>;
  readonly events: SessionEvent[] = [];
  message: ChatMessage | null = null;
  readonly #by: Cause;
  readonly #at: number;

  constructor(session: SessionState, cause: { by: Cause; at: number }) {
    this.session = copyOf(session);
    this.#by = cause.by;
    this.#at = cause.at;
  }

  status(reason: StatusReason, status: SessionState['status'], adminId: number | null): void {
    const { session } = this;
    session.lastAdminId = session.adminId ?? session.lastAdminId;
    session.adminId = adminId;
    session.status = status;
    session.waitingSince = status === 'waiting' ? this.#at : null;
    session.closedAt = status === 'closed' ? this.#at : null;
    session.lastSeq++;
    this.events.push({ kind: 'status', seq: session.lastSeq, at: this.#at, by: this.#by, reason, status, adminId });
  }

  add(command: MessageCommand): void {
    const { session } = this;
    if (command.by.type === 'user') {
      session.firstUserMessageAt ??= this.#at;
      // A token that names nobody must not wipe the names of one that did.
      session.nickname = command.identity?.nickname || session.nickname;
      session.avatar = command.identity?.avatar || session.avatar;
    } else if (session.firstUserMessageAt !== null) session.firstReplyAt ??= this.#at;
    session.messageCount++;
    session.lastMessageTime = this.#at;
    session.lastMessageId = command.messageId;
    session.lastSeq++;
    this.message = {
      messageId: command.messageId,
      sessionId: command.sessionId,
      seq: session.lastSeq,
      senderId: command.by.id,
      senderType: command.by.type,
      content: command.content,
      messageType: command.messageType,
      status: 'sent',
      createdAt: this.#at,
      attachments: command.attachments,
      clientMessageId: command.clientMessageId,
    };
    this.events.push({ kind: 'message', seq: session.lastSeq, at: this.#at, message: this.message });
  }

  rate(score: number, comment: string): void {
    const { session } = this;
    session.ratingScore = score;
    session.ratingComment = comment;
    session.ratedAt = this.#at;
    session.lastSeq++;
    this.events.push({ kind: 'rating', seq: session.lastSeq, at: this.#at, by: this.#by, score, comment });
  }
}

/** Written out: this is done for every message, and spreading costs ten times as much. */
function copyOf(session: SessionState): Mutable<SessionState> {
  return {
    sessionId: session.sessionId,
    userId: session.userId,
    nickname: session.nickname,
    avatar: session.avatar,
    adminId: session.adminId,
    lastAdminId: session.lastAdminId,
    status: session.status,
    createdAt: session.createdAt,
    waitingSince: session.waitingSince,
    closedAt: session.closedAt,
    lastMessageTime: session.lastMessageTime,
    lastMessageId: session.lastMessageId,
    messageCount: session.messageCount,
    lastSeq: session.lastSeq,
    firstUserMessageAt: session.firstUserMessageAt,
    firstReplyAt: session.firstReplyAt,
    ratingScore: session.ratingScore,
    ratingComment: session.ratingComment,
    ratedAt: session.ratedAt,
  };
}
