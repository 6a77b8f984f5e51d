/** What happened in a storm, as its witnesses tell it. Written while it blows, judged when it is over. */

/** A message that a sender handed in; told again with the same id until it is acknowledged. */
interface Sent {
  readonly what: 'sent';
  readonly sessionId: string;
  readonly clientMessageId: string;
  readonly content: string;
}

interface Acked {
  readonly what: 'acked';
  readonly sessionId: string;
  readonly clientMessageId: string;
  readonly messageId: string;
  readonly seq: number;
}

/** An event that a connection was told, live or while catching up. */
export interface Seen {
  readonly what: 'seen';
  /** Who watches; a complete observer must miss nothing. */
  readonly observer: string;
  readonly connection: number;
  readonly sessionId: string;
  readonly seq: number;
  /** Null for an event that is no message. */
  readonly messageId: string | null;
}

/** A message as REST tells it when all is over. */
export interface Stored {
  readonly what: 'stored';
  readonly sessionId: string;
  readonly seq: number;
  readonly messageId: string;
  readonly clientMessageId: string | null;
  readonly senderType: string;
  /** Null where nobody looked at it. */
  readonly status: string | null;
  readonly content: string;
}

/** A session's newest seq when all is over. */
interface Head {
  readonly what: 'head';
  readonly sessionId: string;
  readonly seq: number;
}

/** An observer asks to catch up with a session: what it is told of receipts afterwards may not be older than this. */
interface Asked {
  readonly what: 'asked';
  readonly observer: string;
  readonly sessionId: string;
}

/** How far a reader is, as an observer was told. */
export interface Receipt {
  readonly what: 'receipt';
  readonly observer: string;
  readonly sessionId: string;
  /** Its side and account: `admin 7`. */
  readonly reader: string;
  readonly kind: 'delivered' | 'read';
  readonly upToSeq: number;
  /** False when it is part of the answer to what the observer asked last. */
  readonly live: boolean;
}

/** A number that the server tells when all is over, and the same found by looking. */
interface Figure {
  readonly what: 'figure';
  readonly name: string;
  readonly told: number;
  readonly found: number;
}

export type Line = Sent | Acked | Seen | Stored | Head | Asked | Receipt | Figure;

export class History {
  readonly lines: Line[] = [];

  add(line: Line): void {
    this.lines.push(line);
  }

  of<W extends Line['what']>(what: W): Extract<Line, { what: W }>[] {
    return this.lines.filter((line): line is Extract<Line, { what: W }> => line.what === what);
  }
}
