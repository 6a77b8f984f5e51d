import type { SenderType, ServerFrame } from '@switchboard/protocol';
import { type ClientEvents, SwitchboardError } from './api.ts';
import { type Deferred, deferred } from './deferred.ts';
import type { Refusal } from './outbox.ts';
import { type Receipt, SessionView, type ViewEvent } from './session-view.ts';

export interface FollowingParts {
  readonly side: SenderType;
  readonly random: () => number;
  /** An event was applied to a view, in the order of the log; `live`: for the first time, and not as old history. */
  readonly onEvent: (view: SessionView, event: ViewEvent, live: boolean) => void;
  readonly tell: <Name extends 'receipt' | 'reset' | 'error' | 'change'>(name: Name, detail: ClientEvents[Name]) => void;
}

interface Place {
  readonly sessionId: string;
  readonly view: SessionView;
  /** Why it is followed: somebody opened it, or it came up by itself. Null: it is not. */
  why: 'opened' | 'heard' | null;
  /** What lies up to here is old: it was there before we began to follow. */
  history: number;
  /** This connection's server does not know yet that we follow. */
  stale: boolean;
  /** When it was last asked for; null when nothing is under way. */
  askedAt: number | null;
  requestId: string;
  /** When a gap is no longer a matter of patience. */
  holdUntil: number | null;
  notBefore: number;
  tries: number;
  /** Somebody waits for it to be complete. */
  opening: Deferred<SessionView> | null;
}

type ResumedData = Extract<ServerFrame, { type: 'resumed' }>['data'];

/** Of one `resume`; the protocol's limit. */
export const TOGETHER = 200;
/** What comes out of turn is mostly a moment early: how long the rest may take before it is asked for. */
export const HOLD_MS = 500;
/** How long an answer may take. */
export const ANSWER_MS = 15_000;
const RETRY_MS = 1_000;
const RETRY_MOST_MS = 30_000;

/** The sessions that are followed: keeps their views complete by asking for what is missing, and for all of it after a break. */
export class Following {
  readonly #parts: FollowingParts;
  readonly #places = new Map<string, Place>();
  /** Those that may have something to ask. */
  readonly #restless = new Set<Place>();
  #requests = 0;

  constructor(parts: FollowingParts) {
    this.#parts = parts;
  }

  get views(): SessionView[] {
    return [...this.#places.values()].map(({ view }) => view);
  }

  follows(sessionId: string): boolean {
    return !!this.#places.get(sessionId)?.why;
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
  follow(sessionId: string, why: 'opened' | 'heard', base: number, heard: number = Infinity): Place {
    const place = this.#place(sessionId);
    const { view } = place;
    if (!place.why && view.lastSeq === 0) {
      place.history = heard - 1;
      view.reset(base);
    } else if (why === 'opened' && base < view.base) {
      // More is wanted than was read: from there then, as events are only ever applied in their order.
      this.#reset(place, base);
    }
    if (!place.why) place.stale = true;
    if (place.why !== 'opened') place.why = why;
    this.#restless.add(place);
    return place;
  }

  /** Follows, and resolves when everything up to now is there. */
  open(sessionId: string, base: number): Promise<SessionView> {
    const place = this.follow(sessionId, 'opened', base);
    const { promise } = (place.opening ??= deferred());
    this.#settle(place);
    return promise;
  }

  /** Follows no longer what only came up by itself; if asked to, in any case. @returns whether that is a change */
  leave(sessionId: string, opened: boolean): boolean {
    const place = this.#places.get(sessionId);
    if (!place?.why || (place.why === 'opened' && !opened)) return false;
    this.#end(place, 'LEFT');
    return true;
  }

  /** Whatever the next connection leads to knows nothing of what we follow. */
  disconnected(): void {
    for (const place of this.#places.values()) {
      Object.assign(place, { stale: true, askedAt: null, holdUntil: null, notBefore: 0, tries: 0 });
      if (place.why) this.#restless.add(place);
    }
  }

  /** Events that frames told. */
  add(sessionId: string, events: readonly ViewEvent[], now: number): void {
    const place = this.#places.get(sessionId);
    if (!place?.why) return;
    // A long log comes in many stretches: patience begins anew with each.
    if (place.askedAt !== null) place.askedAt = now;
    for (const event of events) {
      for (const applied of place.view.add(event)) this.#parts.onEvent(place.view, applied, applied.seq > place.history);
    }
    this.#look(place);
  }

  addReceipt(sessionId: string, receipt: Receipt): void {
    const place = this.#places.get(sessionId);
    if (!place?.view.addReceipt(receipt)) return;
    this.#parts.tell('receipt', { ...receipt, sessionId });
    this.#parts.tell('change', place.view);
  }

  /** How far the logs have got, by a heartbeat or an inbox. */
  noteHeads(heads: Readonly<Record<string, number>>): void {
    for (const sessionId in heads) {
      const place = this.#places.get(sessionId);
      if (!place?.why) continue;
      place.view.noteHead(heads[sessionId] as number);
      this.#look(place);
    }
  }

  /** @returns the view, if this is the answer that it waits for */
  resumed({ sessionId, reset, upToSeq, status, adminId, receipts }: ResumedData, requestId: unknown): SessionView | undefined {
    const place = this.#places.get(sessionId);
    if (!place?.why || place.requestId !== requestId) return undefined;
    const { view } = place;
    place.askedAt = null;
    place.tries = 0;
    // What we hold is not of this log.
    if (reset) this.#reset(place, 0);
    else {
      place.stale = false;
      place.history = Math.min(place.history, upToSeq);
      view.noteHead(upToSeq);
      if (status) view.noteStatus(status, adminId ?? null);
    }
    for (const receipt of receipts ?? []) this.addReceipt(sessionId, receipt);
    this.#restless.add(place);
    this.#settle(place);
    return view;
  }

  /** An `error` in answer to a `resume`: of one session, or of all that it asked for. */
  refused(requestId: string, sessionId: string | undefined, { code, retryable, retryAfterMs = 0 }: Refusal, now: number): void {
    for (const place of this.#places.values()) {
      if (place.requestId !== requestId || place.askedAt === null || (sessionId ?? place.sessionId) !== place.sessionId) continue;
      place.askedAt = null;
      place.stale = true;
      const bound = Math.min(RETRY_MOST_MS, RETRY_MS * 2 ** place.tries++);
      place.notBefore = now + retryAfterMs + this.#parts.random() * bound;
      if (retryable) continue;
      if (!place.opening) this.#parts.tell('error', new SwitchboardError(code, `cannot follow ${place.sessionId}`));
      this.#end(place, code);
    }
  }

  /** What to ask now, and when to look again. */
  next(now: number): { send: object[]; wakeAt: number } {
    const due: Place[] = [];
    let wakeAt = Infinity;
    for (const place of this.#restless) {
      const at = this.#dueAt(place, now);
      if (at === null) this.#restless.delete(place);
      else if (at <= now) due.push(place);
      else wakeAt = Math.min(wakeAt, at);
    }
    const send: object[] = [];
    while (due.length > 0) {
      const requestId = `follow${++this.#requests}`;
      const sessions = due.splice(0, TOGETHER).map((place) => {
        Object.assign(place, { askedAt: now, requestId, holdUntil: null });
        return { sessionId: place.sessionId, afterSeq: place.view.lastSeq };
      });
      send.push({ type: 'resume', requestId, data: { sessions } });
      wakeAt = Math.min(wakeAt, now + ANSWER_MS);
    }
    return { send, wakeAt };
  }

  /** When this session has to be asked for; null: not as things stand. */
  #dueAt(place: Place, now: number): number | null {
    if (place.askedAt !== null) return place.askedAt + ANSWER_MS;
    if (place.stale) return place.notBefore;
    place.holdUntil = place.view.behind ? (place.holdUntil ?? now + HOLD_MS) : null;
    return place.holdUntil;
  }

  #place(sessionId: string): Place {
    let place = this.#places.get(sessionId);
    if (!place) {
      place = {
        sessionId,
        view: new SessionView(sessionId, this.#parts.side),
        why: null,
        history: 0,
        stale: true,
        askedAt: null,
        requestId: '',
        holdUntil: null,
        notBefore: 0,
        tries: 0,
        opening: null,
      };
      this.#places.set(sessionId, place);
    }
    return place;
  }

  #reset(place: Place, base: number): void {
    place.history = Infinity;
    place.stale = true;
    place.askedAt = null;
    place.view.reset(base);
    this.#parts.tell('reset', place.view);
  }

  #end(place: Place, code: string): void {
    place.why = null;
    this.#restless.delete(place);
    place.opening?.reject(new SwitchboardError(code, `cannot follow ${place.sessionId}`));
    place.opening = null;
  }

  #look(place: Place): void {
    if (place.view.behind || place.holdUntil !== null) this.#restless.add(place);
    else this.#settle(place);
  }

  /** Tells who waits for a session that everything is there, once it is. */
  #settle(place: Place): void {
    if (place.stale || place.askedAt !== null || place.view.behind) return;
    place.opening?.resolve(place.view);
    place.opening = null;
  }
}
