import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import type { Sender } from './sender.ts';
import type { Scene } from './storm.ts';
import { until } from './until.ts';

const sum = (senders: readonly Sender[], figure: (sender: Sender) => number): number =>
  senders.reduce((total, sender) => total + figure(sender), 0);

/** The database has committed messages, its answer is lost, the server dies: nobody but the database knows of them. */
export async function killAtCommit(scene: Scene): Promise<void> {
  const { server, proxy, cast } = scene;
  const duplicates = (): number => sum(cast.senders, (s) => s.duplicates);
  // The content of a message, and then the end of the transaction that stores it.
  await proxy?.loseAnswer([' says ', 'COMMIT']);
  // The answer may have several parts, and only the last of them means that all is stored.
  for (let waiting: string[] = []; waiting.length === 0; await sleep(20)) {
    const before = await storedUnacked(scene);
    await sleep(50);
    const now = new Set(await storedUnacked(scene));
    waiting = before.filter((id) => now.has(id));
  }
  const before = duplicates();
  await server.kill();
  await server.start();
  await until(() => duplicates() > before, 15_000, 'what was stored without an ack is acknowledged as a duplicate');
}

/** The messages that the database has and whose senders still wait. */
async function storedUnacked({ schema, cast }: Scene): Promise<string[]> {
  const ids = cast.senders.flatMap((sender) => sender.unacked);
  if (ids.length === 0) return [];
  const marks = ids.map(() => '?').join(',');
  const rows = await schema?.query(
    `SELECT client_message_id AS id FROM chat_messages WHERE client_message_id IN (${marks})`,
    ids,
  );
  const waiting = new Set(cast.senders.flatMap((sender) => sender.unacked));
  return (rows ?? []).map(({ id }) => String(id)).filter((id) => waiting.has(id));
}

const FEW = 12;
const LOOKS = 5;
const TOO_MANY = 1040;

/** Somebody else holds every connection that the database allows, the one for administrators included. */
export async function exhaustConnections(scene: Scene): Promise<void> {
  const url = scene.schema?.url ?? '';
  const control = await createConnection(url);
  const held: Connection[] = [control];
  try {
    const [variables] = await control.query<RowDataPacket[]>('SELECT @@GLOBAL.max_connections AS most');
    await control.query(`SET GLOBAL max_connections = ${FEW}`);
    // Whoever was on the way in at the first look is there at a later one.
    for (let looks = 0; looks < LOOKS; await sleep(50)) looks = (await allHeld(url, held)) ? looks + 1 : 0;
    const acked = (): number => sum(scene.cast.senders, (s) => s.acked);
    const refused = (): number => sum(scene.cast.senders, (s) => s.refused.get('UNAVAILABLE') ?? 0);
    const before = { acked: acked(), refused: refused() };
    await until(() => refused() > before.refused, 10_000, 'a send is refused');
    await sleep(scene.lastsMs);
    if (acked() > before.acked) throw new Error('the database had a connection left');
    await control.query(`SET GLOBAL max_connections = ${String(variables[0]?.['most'])}`);
  } finally {
    for (const connection of held) connection.destroy();
  }
  await scene.recovered();
}

/** Takes a connection, or another's place when there is none left. @returns whether nobody else has one */
async function allHeld(url: string, held: Connection[]): Promise<boolean> {
  const control = held[0] as Connection;
  const own = held.map((connection) => connection.threadId);
  const [others] = await control.query<RowDataPacket[]>(
    `SELECT id FROM information_schema.processlist
     WHERE (db = DATABASE() OR user = 'unauthenticated user') AND id NOT IN (${own.join(',')})`,
  );
  for (const { id } of others) await control.query(`KILL ${String(id)}`).catch(() => undefined);
  try {
    held.push(await createConnection(url));
    return false;
  } catch (error) {
    if ((error as { errno?: number }).errno !== TOO_MANY) throw error;
    return others.length === 0;
  }
}

/** Somebody else locks the table that every message changes. */
export async function holdTable({ schema, lastsMs, recovered }: Scene): Promise<void> {
  await schema?.script(`LOCK TABLES chat_sessions WRITE; SELECT SLEEP(${lastsMs / 1000})`);
  await recovered();
}

/** Whatever goes to the database takes 150 ms longer, and so does what comes back. */
export async function slowDown({ proxy, lastsMs, allAcked, recovered }: Scene): Promise<void> {
  proxy?.latency(150);
  await sleep(lastsMs);
  await allAcked(60_000);
  proxy?.latency(0);
  await recovered();
}
