import type { ServerFrame } from '@switchboard/protocol';
import { type ClientEvents, SwitchboardError } from './api.ts';
import { type Deferred, deferred } from './deferred.ts';
import type { Refusal, Turn } from './outbox.ts';
import type { Receipt, SessionView, ViewEvent, WritableView } from './session-view.ts';

export interface FollowingParts {
  readonly createView: (sessionId: string) => WritableView;
  readonly random: () => number;
  /** An event was applied to a view, in the order of the log; `live`: for the first time, and not as old history. */
  readonly onEvent: (view: WritableView, event: ViewEvent, live: boolean) => void;
  readonly tell: <Name extends 'receipt' | 'reset' | 'error' | 'change'>(
    name: Name,
    detail: ClientEvents[Name],
  ) => void;
}

/** The sessions that are followed: keeps their views complete by asking for what is missing, and for all of it after a break. */
export interface Following {
  readonly views: readonly WritableView[];
  follows(sessionId: string): boolean;
  /** The view of a session, followed or not. */
  look(sessionId: string): WritableView;
  /**
   * Begins to follow; a view that is there goes on where it stands.
   * @param base the place in the log to begin after
   * @param heard the seq that told of the session, if one did: it and what follows is news
   */
  follow(sessionId: string, why: 'opened' | 'heard', base: number, heard?: number): void;
  /** Follows, and resolves when everything up to now is there. */
  open(sessionId: string, base: number): Promise<SessionView>;
  /** Follows no longer what only came up by itself; if asked to, in any case. @returns whether that is a change */
  leave(sessionId: string, opened: boolean): boolean;
  /** Whatever the next connection leads to knows nothing of what we follow. */
  disconnected(): void;
  /** Events that frames told. */
  add(sessionId: string, events: readonly ViewEvent[], now: number): void;
  addReceipt(sessionId: string, receipt: Receipt): void;
  /** How far the logs have got, by a heartbeat or an inbox. */
  noteHeads(heads: Readonly<Record<string, number>>): void;
  /** @returns the view, if this is the answer that it waits for */
  resumed(data: Extract<ServerFrame, { type: 'resumed' }>['data'], requestId: unknown): WritableView | undefined;
  /** An `error` in answer to a `resume`: of one session, or of all that it asked for. */
  refused(requestId: string, sessionId: string | undefined, refusal: Refusal, now: number): void;
  /** What to ask on the open connection. */
  next(now: number): Turn;
}

interface Place {
  readonly sessionId: string;
  readonly view: WritableView;
  /** Why it is followed: somebody opened it, or it came up by itself. Null: it is not. */
  why: 'opened' | 'heard' | null;
  /** What lies up to here is old: it was there before we began to follow. */
  history: number;
  /** This connection's server does not know yet that we follow. */
  stale: boolean;
  /** When it was last asked for; 0 when nothing is under way. */
  askedAt: number;
  requestId: string;
  /** When a gap is no longer a matter of patience; 0 while there is none. */
  holdUntil: number;
  notBefore: number;
  /** Somebody waits for it to be complete. */
  opening: Deferred<SessionView> | null;
}

/** Of one `resume`; the protocol's limit. */
export const TOGETHER = 200;
/** What comes out of turn is mostly a moment early: how long the rest may take before it is asked for. */
export const HOLD_MS = 500;
/** How long an answer may take. */
export const ANSWER_MS = 15_000;
/** Over how long those spread who ask again after a refusal. */
export const RETRY_MS = 5_000;

export function createFollowing({ createView, random, onEvent, tell }: FollowingParts): Following {
  const places = new Map<string, Place>();
  const calm = { stale: true, askedAt: 0, holdUntil: 0, notBefore: 0 };
  let requests = 0;

  function placeOf(sessionId: string): Place {
    let place = places.get(sessionId);
    if (!place) {
      const view = createView(sessionId);
      place = { ...calm, sessionId, view, why: null, history: 0, requestId: '', opening: null };
      places.set(sessionId, place);
    }
    return place;
  }

  function followed(sessionId: string): Place | undefined {
    const place = places.get(sessionId);
    return place?.why ? place : undefined;
  }

  function reset(place: Place, base: number): void {
    place.history = Infinity;
    place.stale = true;
    place.askedAt = 0;
    place.view.reset(base);
    tell('reset', place.view);
  }

  function end(place: Place, code: string): void {
    place.why = null;
    const error = new SwitchboardError(code, place.sessionId);
    if (place.opening) place.opening.reject(error);
    else if (code !== 'LEFT') tell('error', error);
    place.opening = null;
  }

  /** Tells who waits for the session that nothing is missing, once nothing is. */
  function settle(place: Place): void {
    if (place.stale || place.askedAt || place.view.behind) return;
    place.opening?.resolve(place.view);
    place.opening = null;
  }

  /** When this session has to be asked for. */
  function dueAt(place: Place, now: number): number {
    if (place.askedAt) return place.askedAt + ANSWER_MS;
    if (place.stale) return place.notBefore;
    if (place.view.behind) return (place.holdUntil ||= now + HOLD_MS);
    place.holdUntil = 0;
    return Infinity;
  }

  function follow(sessionId: string, why: 'opened' | 'heard', base: number, heard = Infinity): Place {
    const place = placeOf(sessionId);
    const { view } = place;
    if (!place.why) {
      place.stale = true;
      if (view.lastSeq === 0) {
        place.history = heard - 1;
        view.reset(base);
      }
    }
    // More is wanted than was read: from there then, as events are only ever applied in their order.
    if (why === 'opened' && base < view.base) reset(place, base);
    if (place.why !== 'opened') place.why = why;
    return place;
  }

  function addReceipt(sessionId: string, receipt: Receipt): void {
    const view = places.get(sessionId)?.view;
    const reached = view?.addReceipt(receipt);
    if (!view || !reached) return;
    tell('receipt', { ...reached, sessionId });
    tell('change', view);
  }

  return {
    get views() {
      return [...places.values()].map(({ view }) => view);
    },
    follows: (sessionId) => !!followed(sessionId),
    look: (sessionId) => placeOf(sessionId).view,
    follow,

    open(sessionId, base) {
      const place = follow(sessionId, 'opened', base);
      const { promise } = (place.opening ??= deferred());
      settle(place);
      return promise;
    },

    leave(sessionId, opened) {
      const place = followed(sessionId);
      if (!place || (place.why === 'opened' && !opened)) return false;
      end(place, 'LEFT');
      return true;
    },

    disconnected() {
      for (const place of places.values()) Object.assign(place, calm);
    },

    add(sessionId, events, now) {
      const place = followed(sessionId);
      if (!place) return;
      // A long log comes in many stretches: patience begins anew with each.
      if (place.askedAt) place.askedAt = now;
      for (const event of events) {
        place.view.add(event);
        for (let next; (next = place.view.apply());) onEvent(place.view, next, next.seq > place.history);
      }
      settle(place);
    },
    addReceipt,

    noteHeads(heads) {
      for (const sessionId in heads) {
        const place = followed(sessionId);
        place?.view.noteHead(heads[sessionId] as number);
        if (place) settle(place);
      }
    },

    resumed({ sessionId, reset: anew, upToSeq, status, adminId = null, receipts = [] }, requestId) {
      const place = followed(sessionId);
      if (!place || place.requestId !== requestId) return undefined;
      const { view } = place;
      place.askedAt = 0;
      // What we hold is not of this log.
      if (anew) reset(place, 0);
      else {
        place.stale = false;
        place.history = Math.min(place.history, upToSeq);
        view.noteHead(upToSeq);
        if (status) view.noteStatus(status, adminId);
      }
      for (const receipt of receipts) addReceipt(sessionId, receipt);
      settle(place);
      return view;
    },

    refused(requestId, sessionId, { code, retryable, retryAfterMs = 0 }, now) {
      for (const place of places.values()) {
        if (place.requestId !== requestId || (sessionId ?? place.sessionId) !== place.sessionId) continue;
        place.askedAt = 0;
        place.stale = true;
        place.notBefore = now + retryAfterMs + random() * RETRY_MS;
        if (!retryable) end(place, code);
      }
    },

    next(now) {
      const due: Place[] = [];
      const send: object[] = [];
      let wakeAt = Infinity;
      for (const place of places.values()) {
        const at = place.why ? dueAt(place, now) : Infinity;
        if (at <= now) due.push(place);
        else wakeAt = Math.min(wakeAt, at);
      }
      while (due.length > 0) {
        const requestId = `follow${++requests}`;
        const sessions = due.splice(0, TOGETHER).map((place) => {
          Object.assign(place, { askedAt: now, requestId, holdUntil: 0 });
          return { sessionId: place.sessionId, afterSeq: place.view.lastSeq };
        });
        send.push({ type: 'resume', requestId, data: { sessions } });
        wakeAt = Math.min(wakeAt, now + ANSWER_MS);
      }
      return { send, wakeAt };
    },
  };
}
