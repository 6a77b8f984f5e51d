/** What the generator can be asked for, and what it answers. Everything crosses a process border as JSON. */

export type DialectName = 'switchboard' | 'socket.io';

interface Target {
  readonly port: number;
  readonly dialect: DialectName;
  /** HS256 secret that the subject checks tokens with. */
  readonly secret: string;
}

/** Users who send, one admin who gets everything. */
export interface LoadJob extends Target {
  readonly kind: 'load';
  readonly users: number;
  /** Unacknowledged messages of each user; in an open loop, the most that one may have. */
  readonly outstanding: number;
  /** Messages a second of all users together; null: each ack lets the next one go. */
  readonly perSecond: number | null;
  readonly warmMs: number;
  readonly measureMs: number;
  /** Whether the subject promises each session's messages in the order they were sent. */
  readonly ordered: boolean;
  /** Processes whose CPU is read at the start and at the end of the window. */
  readonly pids: Readonly<Record<string, number>>;
}

export interface LoadResult {
  /** Messages acknowledged and delivered, from the first to the last of the whole run. */
  readonly messages: number;
  readonly perSecond: number;
  /** From sending to whichever of ack and delivery came last. */
  readonly whole: readonly number[];
  /** From sending to the ack. */
  readonly ack: readonly number[];
  /** CPU microseconds per message of each process, of the generator, and of everybody else (`others`, a share of one core). */
  readonly cpu: Readonly<Record<string, number>>;
  readonly from: number;
  readonly to: number;
}

/** Many connections that say nothing. */
export interface IdleJob {
  readonly kind: 'idle';
  readonly port: number;
  readonly secret: string;
  /** Plain TCP, or WebSocket with an identity. */
  readonly protocol: 'tcp' | 'websocket';
  readonly connections: number;
  readonly warm: number;
  readonly pid: number;
}

export interface IdleResult {
  /** Growth of the server's resident memory per connection, bytes: as it stands, and after a full collection. */
  readonly bytes: number;
  readonly collected: number;
}

/** Clients that all come back at once, each with one session to go on with. */
export interface ResumeJob {
  readonly kind: 'resume';
  readonly port: number;
  readonly secret: string;
  readonly clients: number;
  readonly afterSeq: number;
  readonly pids: Readonly<Record<string, number>>;
}

export interface ResumeResult {
  readonly seconds: number;
  readonly cpu: Readonly<Record<string, number>>;
  readonly from: number;
  readonly to: number;
}

export type Job = LoadJob | IdleJob | ResumeJob;
export type Answer = { readonly result: LoadResult | IdleResult | ResumeResult } | { readonly fault: string };
