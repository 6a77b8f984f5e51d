import type { Hint } from '../domain/ports.ts';
import type { SessionEvent } from '../domain/session.ts';

interface Track {
  /** First and last seq delivered here in one run. */
  first: number;
  head: number;
  /** Hints that came while a gap is being read; null when none is. */
  held: Hint[] | null;
}

export interface SequencerParts {
  /** Reads a session's events after a place in its log. */
  readonly readLog: (sessionId: string, afterSeq: number, limit: number) => Promise<readonly SessionEvent[]>;
  readonly deliver: (hint: Hint) => void;
  readonly onGap?: (filled: boolean) => void;
}

/** Sessions remembered. One that is forgotten begins anew with the next hint. */
const REMEMBERED = 50_000;
const READ = 500;
/** Events looked at of a session that this node never heard of. */
const RECENT = 100;

/**
 * Makes of hints, which may be lost, doubled or late, each session's events once and in the order of their seq. What is
 * missing between two hints is read from the store.
 */
export class Sequencer {
  readonly #parts: SequencerParts;
  readonly #tracks = new Map<string, Track>();

  constructor(parts: SequencerParts) {
    this.#parts = parts;
  }

  receive(hint: Hint): void {
    const from = hint.events[0]?.seq;
    const to = hint.events.at(-1)?.seq;
    if (from === undefined || to === undefined) return;
    const track = this.#tracks.get(hint.sessionId);
    if (!track) {
      this.#remember(hint.sessionId, { first: from, head: to, held: null });
      this.#parts.deliver(hint);
    } else if (track.held) {
      track.held.push(hint);
    } else if (from > track.head + 1) {
      track.held = [hint];
      void this.#fill(hint, track, from - 1);
    } else if (to > track.head) {
      this.#deliver(hint, track.head);
      track.head = to;
    } else if (to < track.first) {
      // From before this node began to follow the session, and only now here: late, but not lost.
      track.first = from;
      this.#parts.deliver(hint);
    }
  }

  /**
   * Compares with what the store says of a session: news that no hint has brought is read and delivered.
   * @param since events of a session that this node never heard of count as news from this moment on, milliseconds UTC
   */
  async check(route: Hint, head: number, since: number): Promise<void> {
    let track = this.#tracks.get(route.sessionId);
    if (track?.held || (track && track.head >= head)) return;
    if (!track) {
      const recent = await this.#parts.readLog(route.sessionId, Math.max(0, head - RECENT), RECENT);
      const events = recent.filter((e) => e.at >= since);
      track = this.#tracks.get(route.sessionId);
      if (!track) {
        if (events.length > 0) this.receive({ ...route, events });
        return;
      }
    }
    if (track.held || track.head >= head) return;
    // A hint without events that lies behind the gap: filling up to it is all that is wanted.
    track.held = [];
    await this.#fill(route, track, head);
  }

  #deliver(hint: Hint, after: number): void {
    const fresh = hint.events.filter((e) => e.seq > after);
    this.#parts.deliver(fresh.length === hint.events.length ? hint : { ...hint, events: fresh });
  }

  /** Reads and delivers what is missing up to `wanted`, then what was held meanwhile. */
  async #fill(route: Hint, track: Track, wanted: number): Promise<void> {
    let filled = true;
    try {
      while (track.head < wanted) {
        const events = await this.#parts.readLog(route.sessionId, track.head, READ);
        const next = events.filter((e) => e.seq <= wanted);
        if (next.length === 0) break;
        this.#parts.deliver({ ...route, events: next, origin: null });
        track.head = next.at(-1)?.seq ?? track.head;
      }
      filled = track.head >= wanted;
    } catch {
      // The store is away: what we have is better than silence, and clients see the gap by seq.
      filled = false;
    }
    this.#parts.onGap?.(filled);
    const held = (track.held ?? []).sort((a, b) => (a.events[0]?.seq ?? 0) - (b.events[0]?.seq ?? 0));
    track.held = null;
    const first = held[0]?.events[0]?.seq;
    if (!filled && first !== undefined) track.head = Math.max(track.head, first - 1);
    for (const hint of held) this.receive(hint);
  }

  #remember(sessionId: string, track: Track): void {
    if (this.#tracks.size >= REMEMBERED) {
      const oldest = this.#tracks.keys().next();
      if (!oldest.done) this.#tracks.delete(oldest.value);
    }
    this.#tracks.set(sessionId, track);
  }
}
