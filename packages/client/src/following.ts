import type { SenderType, ServerFrame } from '@switchboard/protocol';
import type { Refusal } from './outbox.ts';
import { type Receipt, SessionView, type ViewEvent } from './session-view.ts';

export interface FollowingParts {
  readonly side: SenderType;
  readonly random: () => number;
  /** An event was applied to a view, in the order of the log; `live`: for the first time, and not as old history. */
  readonly onEvent: (view: SessionView, event: ViewEvent, live: boolean) => void;
  readonly onReceipt: (view: SessionView, receipt: Receipt) => void;
  /** A view begins anew: what it told so far is void. */
  readonly onReset: (view: SessionView) => void;
  /** A session cannot be followed; it is no longer. */
  readonly onRefused: (sessionId: string, refusal: Refusal) => void;
}

export interface ResumeFrame {
  readonly type: 'resume';
  readonly requestId: string;
  readonly data: { readonly sessions: readonly { readonly sessionId: string; readonly afterSeq: number }[] };
}

interface Place {
  readonly view: SessionView;
  readonly sessionId: string;
  /** Why it is followed: somebody opened it, or it came up by itself; null: it is not any more. */
  why: 'opened' | 'heard' | null;
  /** What lies up to here is old: it was there before we began to follow. */
  history: number;
  /** This connection's server does not know yet that we follow. */
  stale: boolean;
  /** When it was last asked for; null when nothing is under way. */
  askedAt: number | null;
  requestId: string;
  /** When a gap has to be closed by then. */
  holdUntil: number | null;
  notBefore: number;
  tries: number;
  readonly waiting: { resolve: (view: SessionView) => void; reject: (refusal: Refusal) => void }[];
}

type ResumedData = Extract<ServerFrame, { type: 'resumed' }>['data'];

/** Of one `resume`; the protocol's limit. */
const TOGETHER = 200;
/** What comes out of turn is mostly a moment early: how long the rest may take before it is asked for. */
const HOLD_MS = 500;
/** How long an answer may take. */
const ANSWER_MS = 15_000;
const RETRY_MS = 1_000;
const RETRY_MOST_MS = 30_000;

/** The sessions that are followed: keeps their views complete by asking for what is missing, and for all of it after a break. */
export class Following {
  readonly #parts: FollowingParts;
  readonly #places = new Map<string, Place>();
  /** Those that may have something to ask. */
  readonly #restless = new Set<Place>();
  #online = false;
  #requests = 0;

  constructor(parts: FollowingParts) {
    this.#parts = parts;
  }

  get views(): SessionView[] {
    return [...this.#places.values()].map(({ view }) => view);
  }

  follows(sessionId: string): boolean {
    return (this.#places.get(sessionId)?.why ?? null) !== null;
  }

  /** The view of a session, followed or not. */
  look(sessionId: string): SessionView {
    return this.#place(sessionId).view;
  }

  /**
   * Begins to follow; a view that is there goes on where it stands.
   * @param base the place in the log to begin after
   * @param heard the seq that told of the session, if one did: it and what follows is news
   */
  follow(sessionId: string, why: 'opened' | 'heard', base: number, heard = Number.POSITIVE_INFINITY): SessionView {
    const place = this.#place(sessionId);
    const { view } = place;
    if (place.why === null && view.lastSeq === 0) {
      place.history = heard - 1;
      view.reset(base);
    } else if (why === 'opened' && base < view.base) {
      // More is wanted than was read: from there then, as events are only ever applied in their order.
      this.#reset(place, base);
    }
    if (place.why === null) place.stale = true;
    if (place.why !== 'opened') place.why = why;
    this.#restless.add(place);
    return view;
  }

  /** Follows, and resolves when everything up to now is there. Rejects with a Refusal. */
  open(sessionId: string, base: number): Promise<SessionView> {
    this.follow(sessionId, 'opened', base);
    const place = this.#place(sessionId);
    return new Promise((resolve, reject) => {
      place.waiting.push({ resolve, reject });
      this.#settle(place);
    });
  }

  /** Follows no longer what only came up by itself, or, if asked to, in any case. @returns whether that is a change */
  leave(sessionId: string, opened: boolean): boolean {
    const place = this.#places.get(sessionId);
    if (!place || place.why === null || (place.why === 'opened' && !opened)) return false;
    place.why = null;
    this.#restless.delete(place);
    for (const { reject } of place.waiting.splice(0)) reject({ code: 'LEFT', retryable: false });
    return true;
  }

  connected(): void {
    this.#online = true;
    for (const place of this.#places.values()) {
      place.stale = true;
      place.askedAt = null;
      place.notBefore = 0;
      place.tries = 0;
      if (place.why !== null) this.#restless.add(place);
    }
  }

  disconnected(): void {
    this.#online = false;
  }

  /** An event that a frame told. */
  add(sessionId: string, event: ViewEvent): void {
    const place = this.#places.get(sessionId);
    if (!place || place.why === null) return;
    for (const applied of place.view.add(event)) {
      this.#parts.onEvent(place.view, applied, applied.seq > place.history);
    }
    this.#look(place);
  }

  /** A long log comes in many stretches: patience begins anew with each. */
  addStretch(sessionId: string, events: readonly ViewEvent[], now: number): void {
    const place = this.#places.get(sessionId);
    if (place && place.askedAt !== null) place.askedAt = now;
    for (const event of events) this.add(sessionId, event);
  }

  addReceipt(sessionId: string, receipt: Receipt): void {
    const view = this.#places.get(sessionId)?.view;
    if (view?.addReceipt(receipt)) this.#parts.onReceipt(view, receipt);
  }

  /** How far the logs have got, by a heartbeat or an inbox. */
  noteHeads(heads: Readonly<Record<string, number>>): void {
    for (const [sessionId, head] of Object.entries(heads)) {
      const place = this.#places.get(sessionId);
      if (!place || place.why === null) continue;
      place.view.noteHead(head);
      this.#look(place);
    }
  }

  resumed({ sessionId, reset, upToSeq, status, adminId, receipts }: ResumedData, requestId: unknown): SessionView | undefined {
    const place = this.#places.get(sessionId);
    if (!place || place.why === null || place.requestId !== requestId) return undefined;
    place.askedAt = null;
    place.tries = 0;
    if (reset) {
      // What we hold is not of this log.
      this.#reset(place, 0);
    } else {
      place.stale = false;
      place.history = Math.min(place.history, upToSeq);
      place.view.noteHead(upToSeq);
      if (status !== undefined) place.view.noteStatus(status, adminId ?? null);
    }
    for (const receipt of receipts ?? []) this.addReceipt(sessionId, receipt);
    this.#restless.add(place);
    this.#settle(place);
    return place.view;
  }

  /** An `error` in answer to a `resume`: of one session, or of all that it asked for. */
  refused(requestId: string, sessionId: string | undefined, refusal: Refusal, now: number): void {
    for (const place of this.#places.values()) {
      if (place.requestId !== requestId || place.askedAt === null) continue;
      if (sessionId !== undefined && place.sessionId !== sessionId) continue;
      place.askedAt = null;
      if (refusal.retryable) {
        const bound = Math.min(RETRY_MOST_MS, RETRY_MS * 2 ** Math.min(place.tries++, 10));
        place.notBefore = now + (refusal.retryAfterMs ?? 0) + this.#parts.random() * bound;
        place.stale = true;
        this.#restless.add(place);
      } else {
        place.why = null;
        this.#restless.delete(place);
        const waiting = place.waiting.splice(0);
        for (const { reject } of waiting) reject(refusal);
        if (waiting.length === 0) this.#parts.onRefused(place.sessionId, refusal);
      }
    }
  }

  /** What to ask now, and when to look again. */
  next(now: number): { send: ResumeFrame[]; wakeAt: number | null } {
    const due: Place[] = [];
    let wakeAt: number | null = null;
    if (!this.#online) return { send: [], wakeAt };
    for (const place of this.#restless) {
      const at = this.#dueAt(place, now);
      if (at === null) this.#restless.delete(place);
      else if (at <= now) due.push(place);
      else wakeAt = Math.min(wakeAt ?? at, at);
    }
    const send: ResumeFrame[] = [];
    for (let i = 0; i < due.length; i += TOGETHER) send.push(this.#ask(due.slice(i, i + TOGETHER), now));
    if (due.length > 0) wakeAt = Math.min(wakeAt ?? now + ANSWER_MS, now + ANSWER_MS);
    return { send, wakeAt };
  }

  /** When this session has to be asked for; null: not as things stand. */
  #dueAt(place: Place, now: number): number | null {
    if (place.askedAt !== null) return place.askedAt + ANSWER_MS;
    if (place.stale) return place.notBefore;
    if (!place.view.behind) {
      place.holdUntil = null;
      return null;
    }
    place.holdUntil ??= now + HOLD_MS;
    return Math.max(place.holdUntil, place.notBefore);
  }

  #ask(places: readonly Place[], now: number): ResumeFrame {
    const requestId = `follow${++this.#requests}`;
    const sessions = places.map((place) => {
      Object.assign(place, { askedAt: now, requestId, holdUntil: null });
      return { sessionId: place.sessionId, afterSeq: place.view.lastSeq };
    });
    return { type: 'resume', requestId, data: { sessions } };
  }

  #place(sessionId: string): Place {
    let place = this.#places.get(sessionId);
    if (!place) {
      place = {
        view: new SessionView(sessionId, this.#parts.side),
        sessionId,
        why: null,
        history: 0,
        stale: true,
        askedAt: null,
        requestId: '',
        holdUntil: null,
        notBefore: 0,
        tries: 0,
        waiting: [],
      };
      this.#places.set(sessionId, place);
    }
    return place;
  }

  #reset(place: Place, base: number): void {
    place.history = Number.POSITIVE_INFINITY;
    place.view.reset(base);
    place.stale = true;
    place.askedAt = null;
    this.#parts.onReset(place.view);
  }

  #look(place: Place): void {
    if (place.view.behind || place.holdUntil !== null) this.#restless.add(place);
    else this.#settle(place);
  }

  /** Tells those who wait for a session that everything is there, once it is. */
  #settle(place: Place): void {
    if (!this.#online || place.stale || place.askedAt !== null || place.view.behind) return;
    for (const { resolve } of place.waiting.splice(0)) resolve(place.view);
  }
}
