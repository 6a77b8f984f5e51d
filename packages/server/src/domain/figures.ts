import type { SessionState } from './session.ts';

/**
 * What the store counts as it goes, so that lists and statistics never have to count rows. What happened is counted in
 * slots of a quarter of an hour: every business day, in whatever zone, is a whole number of them. How the list of
 * sessions stands now is counted in slots below zero.
 */
export interface Figures {
  /** Sessions by their status of now: in `ALL`, and again where their newest message lies in the list. */
  readonly waiting: number;
  readonly active: number;
  readonly closed: number;
  readonly created: number;
  /** Closed then, and closed still. */
  readonly completed: number;
  readonly answered: number;
  /** Sum over the answered sessions. */
  readonly responseMs: number;
  readonly rated: number;
  readonly ratingSum: number;
  readonly messages: number;
}
export type Figure = keyof Figures;

const NONE: Figures = {
  waiting: 0,
  active: 0,
  closed: 0,
  created: 0,
  completed: 0,
  answered: 0,
  responseMs: 0,
  rated: 0,
  ratingSum: 0,
  messages: 0,
};
export const figureNames = Object.keys(NONE) as readonly Figure[];

export const SLOT_MS = 900_000;
/** All sessions, whatever their place in the list. */
export const ALL = -1;
/** Those without a message: the end of the list. */
export const SILENT = -2;
/**
 * Those whose newest message lies in one stretch of six hours. So long that a session which is talked in seldom moves
 * from one to the next, so short that counting within one takes no time. A newer stretch has a smaller number.
 */
export const STRETCH_MS = 21_600_000;
const FIRST_STRETCH = -10;

/** The quarter of an hour that a moment lies in. */
export function slotOf(ms: number): number {
  return Math.floor(ms / SLOT_MS);
}

/** Where in the list a session is counted. */
export function stretchOf(lastMessageTime: number | null): number {
  return lastMessageTime === null ? SILENT : FIRST_STRETCH - Math.floor(lastMessageTime / STRETCH_MS);
}

/** The first moment of a stretch. */
export function startOf(stretch: number): number {
  return (FIRST_STRETCH - stretch) * STRETCH_MS;
}

/** The first moment after a stretch. */
export function endOf(stretch: number): number {
  return startOf(stretch) + STRETCH_MS;
}

/** What one transaction adds to the figures and takes from them. Pure: the difference of states, whatever led from one to the other. */
export class Tally {
  readonly #slots = new Map<number, Record<Figure, number>>();

  add(slot: number, figure: Figure, amount: number): void {
    let figures = this.#slots.get(slot);
    if (!figures) this.#slots.set(slot, (figures = { ...NONE }));
    figures[figure] += amount;
  }

  /** A session was in one state, or was not there yet, and is in another now. */
  session(before: SessionState | null, after: SessionState): void {
    if (before && countsAlike(before, after)) return;
    if (before) this.#count(before, -1);
    this.#count(after, 1);
  }

  message(createdAt: number): void {
    this.add(slotOf(createdAt), 'messages', 1);
  }

  /** The slots in which anything changes, in their order. */
  changes(): [slot: number, figures: Figures][] {
    return [...this.#slots]
      .filter(([, figures]) => figureNames.some((name) => figures[name] !== 0))
      .sort(([a], [b]) => a - b);
  }

  #count(session: SessionState, sign: 1 | -1): void {
    const { status, createdAt, closedAt, firstUserMessageAt, firstReplyAt, ratedAt, ratingScore } = session;
    this.add(ALL, status, sign);
    this.add(stretchOf(session.lastMessageTime), status, sign);
    this.add(slotOf(createdAt), 'created', sign);
    if (status === 'closed' && closedAt !== null) this.add(slotOf(closedAt), 'completed', sign);
    if (firstReplyAt !== null) {
      this.add(slotOf(firstReplyAt), 'answered', sign);
      // A clock that was set back between the two makes no negative wait.
      const waited = Math.max(0, firstReplyAt - (firstUserMessageAt ?? firstReplyAt));
      this.add(slotOf(firstReplyAt), 'responseMs', sign * waited);
    }
    if (ratedAt !== null) {
      this.add(slotOf(ratedAt), 'rated', sign);
      this.add(slotOf(ratedAt), 'ratingSum', sign * (ratingScore ?? 0));
    }
  }
}

/** Most changes of a session are messages, which seldom change what is counted of the session itself. */
function countsAlike(a: SessionState, b: SessionState): boolean {
  return (
    a.status === b.status &&
    stretchOf(a.lastMessageTime) === stretchOf(b.lastMessageTime) &&
    a.closedAt === b.closedAt &&
    a.firstReplyAt === b.firstReplyAt &&
    a.ratedAt === b.ratedAt &&
    a.ratingScore === b.ratingScore
  );
}
