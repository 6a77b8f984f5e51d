import type { History, Receipt, Seen, Stored } from './history.ts';

/** What a history breaks, in words; nothing when every promise was kept. */
export interface Verdict {
  readonly lost: string[];
  readonly doubled: string[];
  readonly disordered: string[];
  readonly holes: string[];
  readonly miscounted: string[];
}

export interface JudgeOptions {
  /** Observers that must have been told every event of these sessions. */
  readonly complete?: Readonly<Record<string, readonly string[]>>;
}

/**
 * Judges a history: everything acknowledged is stored, as it was sent and where the ack said; nothing is stored or
 * shown twice; all witnesses agree what stands at each place of each log; complete observers miss nothing; receipts only go
 * forward, and the messages they cover are stored so; totals are what can be counted.
 */
export function judge(history: History, { complete = {} }: JudgeOptions = {}): Verdict {
  const verdict: Verdict = { lost: [], doubled: [], disordered: [], holes: [], miscounted: [] };
  judgeAcks(history, verdict);
  judgeOrder(history, verdict);
  judgeConnections(history.of('seen'), verdict);
  for (const [observer, sessions] of Object.entries(complete)) judgeCompleteness(history, observer, sessions, verdict);
  judgeReceipts(history, verdict);
  judgeStatuses(history.of('receipt'), history.of('stored'), verdict);
  for (const { name, told, found } of history.of('figure'))
    if (told !== found) verdict.miscounted.push(`${name}: ${told} told, ${found} found`);
  return verdict;
}

export function faultless(verdict: Verdict): boolean {
  return Object.values(verdict).every((list: string[]) => list.length === 0);
}

function judgeAcks(history: History, { lost, doubled, disordered }: Verdict): void {
  const stored = new Map(history.of('stored').map((s) => [s.messageId, s]));
  const contents = new Map(history.of('sent').map((s) => [`${s.sessionId} ${s.clientMessageId}`, s.content]));
  const firstAck = new Map<string, string>();
  for (const ack of history.of('acked')) {
    const key = `${ack.sessionId} ${ack.clientMessageId}`;
    const found = stored.get(ack.messageId);
    if (!found) lost.push(`${key}: acknowledged as ${ack.messageId}, not stored`);
    else if (found.content !== contents.get(key)) lost.push(`${key}: stored with another content`);
    else if (found.seq !== ack.seq || found.sessionId !== ack.sessionId)
      disordered.push(`${key}: acknowledged at ${ack.seq}, stored at ${found.seq}`);
    const first = firstAck.get(key);
    if (first !== undefined && first !== ack.messageId)
      doubled.push(`${key}: acknowledged as ${first} and as ${ack.messageId}`);
    firstAck.set(key, ack.messageId);
  }
  // By what it says, too: a store that had forgotten the id would not be caught by the id.
  const said = new Map<string, number>();
  for (const { sessionId, content } of history.of('sent')) {
    const key = `${sessionId} ${content}`;
    said.set(key, (said.get(key) ?? 0) + 1);
  }
  const seen = new Set<string>();
  for (const { sessionId, clientMessageId, content } of stored.values()) {
    const text = `${sessionId} ${content}`;
    const keys = said.get(text) === 1 ? [text] : [];
    if (clientMessageId !== null) keys.push(`${sessionId} #${clientMessageId}`);
    if (keys.some((key) => seen.has(key))) doubled.push(`${text}: stored more than once`);
    for (const key of keys) seen.add(key);
  }
}

/** All who tell what stands at a place must tell the same. */
function judgeOrder(history: History, { disordered }: Verdict): void {
  const places = new Map<string, string>();
  const tell = (who: string, sessionId: string, seq: number, messageId: string | null): void => {
    const place = `${sessionId} #${seq}`;
    const said = messageId ?? 'no message';
    const before = places.get(place);
    if (before !== undefined && before !== said) disordered.push(`${place}: ${who} says ${said}, others ${before}`);
    else places.set(place, said);
  };
  for (const s of history.of('stored')) tell('REST', s.sessionId, s.seq, s.messageId);
  for (const a of history.of('acked')) tell('an ack', a.sessionId, a.seq, a.messageId);
  for (const s of history.of('seen')) tell(s.observer, s.sessionId, s.seq, s.messageId);
}

/** On one connection every session only moves forward. */
function judgeConnections(seen: readonly Seen[], { doubled, disordered }: Verdict): void {
  const heads = new Map<string, number>();
  for (const { observer, connection, sessionId, seq } of seen) {
    const key = `${observer}/${connection} ${sessionId}`;
    const head = heads.get(key) ?? 0;
    if (seq === head) doubled.push(`${key}: #${seq} shown twice`);
    else if (seq < head) disordered.push(`${key}: #${seq} after #${head}`);
    heads.set(key, Math.max(head, seq));
  }
}

function judgeCompleteness(
  history: History,
  observer: string,
  sessions: readonly string[],
  { holes, doubled }: Verdict,
): void {
  const bySession = new Map<string, number[]>();
  for (const line of history.of('seen')) {
    if (line.observer !== observer) continue;
    const seqs = bySession.get(line.sessionId);
    if (seqs) seqs.push(line.seq);
    else bySession.set(line.sessionId, [line.seq]);
  }
  for (const { sessionId, seq: head } of history.of('head')) {
    if (!sessions.includes(sessionId)) continue;
    const seqs = bySession.get(sessionId) ?? [];
    const told = new Set(seqs);
    if (told.size !== seqs.length) doubled.push(`${observer} ${sessionId}: ${seqs.length - told.size} shown twice`);
    for (let seq = 1; seq <= head; seq++)
      if (!told.has(seq)) holes.push(`${observer} ${sessionId}: #${seq} never shown`);
  }
}

/**
 * What an observer is told live never goes back. The answer to a question may be older than what was told live after
 * the question, but not older than what was known before it.
 */
function judgeReceipts(history: History, { disordered }: Verdict): void {
  const known = new Map<string, Map<string, number>>();
  const asked = new Map<string, { readonly atLeast: ReadonlyMap<string, number>; answered: boolean }>();
  for (const line of history.lines) {
    if (line.what !== 'asked' && line.what !== 'receipt') continue;
    const where = `${line.observer} ${line.sessionId}`;
    const positions = known.get(where) ?? new Map<string, number>();
    known.set(where, positions);
    const question = asked.get(where);
    if (line.what === 'asked') {
      // Of questions that wait together the answer may be to the first.
      if (question?.answered !== false) asked.set(where, { atLeast: new Map(positions), answered: false });
      continue;
    }
    const place = `${line.reader} ${line.kind}`;
    const last = positions.get(place) ?? 0;
    const least = line.live ? last : (question?.atLeast.get(place) ?? 0);
    if (question && !line.live) question.answered = true;
    if (line.upToSeq < least) disordered.push(`${where}: ${place} went back from ${least} to ${line.upToSeq}`);
    positions.set(place, Math.max(last, line.upToSeq));
  }
}

const RANK: Readonly<Record<string, number>> = { sent: 0, delivered: 1, read: 2 };

/** A receipt that anybody was told of is stored: the messages that it covers have got at least so far. */
function judgeStatuses(receipts: readonly Receipt[], stored: readonly Stored[], { lost }: Verdict): void {
  const covered = new Map<string, number>();
  for (const { sessionId, reader, kind, upToSeq } of receipts) {
    const key = `${sessionId} ${reader.startsWith('user') ? 'user' : 'admin'} ${kind}`;
    covered.set(key, Math.max(covered.get(key) ?? 0, upToSeq));
  }
  for (const { sessionId, seq, senderType, status } of stored) {
    const reader = senderType === 'user' ? 'admin' : 'user';
    for (const kind of ['delivered', 'read']) {
      if (status === null) continue;
      const isCovered = seq <= (covered.get(`${sessionId} ${reader} ${kind}`) ?? 0);
      if (isCovered && (RANK[status] ?? 0) < (RANK[kind] as number))
        lost.push(`${sessionId} #${seq}: ${kind} by the ${reader}, stored as ${status}`);
    }
  }
}
