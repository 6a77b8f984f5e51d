import type { SenderType } from '@switchboard/protocol';

/** How far messages have reached one reader of a session. Cumulative: positions never go back. */
export interface Receipt {
  readonly sessionId: string;
  readonly readerType: SenderType;
  readonly readerId: number;
  /** Everything up to here has reached the reader's screen or storage. */
  readonly deliveredSeq: number;
  /** Everything up to here has been read; never beyond `deliveredSeq`. */
  readonly readSeq: number;
}

/** What became of a receipt: the positions now, or null when they stood there already. */
export type ReceiptResult =
  | { readonly fault: 'unknown' | 'foreign' | 'beyond' }
  | {
      readonly fault: null;
      readonly userId: number;
      readonly adminId: number | null;
      readonly changed: Receipt | null;
    };
