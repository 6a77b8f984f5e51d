import { ChatError, conflict } from '@switchboard/protocol';
import type { Command, MessageCommand } from './command.ts';
import type { Actor, Cause, ChatMessage, SessionEvent, SessionState, StatusReason } from './session.ts';
import { SYSTEM } from './session.ts';

/**
 * The state machine of a session. Pure: the store calls it under the session's row lock, so what it sees is the truth.
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

/** A session's state being moved forward, with the events that did it. */
class Draft implements Decision {
  session: SessionState;
  readonly events: SessionEvent[] = [];
  message: ChatMessage | null = null;
  readonly #by: Cause;
  readonly #at: number;

  constructor(session: SessionState, cause: { by: Cause; at: number }) {
    this.session = session;
    this.#by = cause.by;
    this.#at = cause.at;
  }

  status(reason: StatusReason, status: SessionState['status'], adminId: number | null): void {
    const { session } = this;
    this.#move({
      status,
      adminId,
      lastAdminId: session.adminId ?? session.lastAdminId,
      waitingSince: status === 'waiting' ? this.#at : null,
      closedAt: status === 'closed' ? this.#at : null,
    });
    this.events.push({
      kind: 'status',
      seq: this.session.lastSeq,
      at: this.#at,
      by: this.#by,
      reason,
      status,
      adminId,
    });
  }

  add(command: MessageCommand): void {
    const { session } = this;
    const fromUser = command.by.type === 'user';
    const answers = !fromUser && session.firstUserMessageAt !== null;
    this.#move({
      messageCount: session.messageCount + 1,
      lastMessageTime: this.#at,
      lastMessageId: command.messageId,
      firstUserMessageAt: fromUser ? (session.firstUserMessageAt ?? this.#at) : session.firstUserMessageAt,
      firstReplyAt: answers ? (session.firstReplyAt ?? this.#at) : session.firstReplyAt,
      // A token that names nobody must not wipe the names of one that did.
      nickname: (fromUser && command.identity?.nickname) || session.nickname,
      avatar: (fromUser && command.identity?.avatar) || session.avatar,
    });
    this.message = {
      messageId: command.messageId,
      sessionId: command.sessionId,
      seq: this.session.lastSeq,
      senderId: command.by.id,
      senderType: command.by.type,
      content: command.content,
      messageType: command.messageType,
      status: 'sent',
      createdAt: this.#at,
      attachments: command.attachments,
      clientMessageId: command.clientMessageId,
    };
    this.events.push({ kind: 'message', seq: this.message.seq, at: this.#at, message: this.message });
  }

  rate(score: number, comment: string): void {
    this.#move({ ratingScore: score, ratingComment: comment, ratedAt: this.#at });
    this.events.push({ kind: 'rating', seq: this.session.lastSeq, at: this.#at, by: this.#by, score, comment });
  }

  #move(change: Partial<SessionState>): void {
    this.session = { ...this.session, ...change, lastSeq: this.session.lastSeq + 1 };
  }
}
