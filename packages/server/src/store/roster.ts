import type { Candidate } from '../domain/assignment.ts';
import type { Roster } from '../domain/ports.ts';
import type { Identity } from '../domain/session.ts';
import { type Dialect, fromTime, marks, type Transaction } from './dialect.ts';
import { patiently } from './patiently.ts';
import { toldWhenAway } from './told-when-away.ts';

/** How long a lease lasts without renewal. Renewed every third of it. */
export const LEASE_MS = 15_000;

/** The admins' leases and graces, as rows. Runs of statements that belong together are one transaction. */
export class SqlRoster implements Roster {
  readonly #dialect: Dialect;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  online(admin: Identity, nodeId: string): Promise<void> {
    return this.#settle(async (tx) => {
      const { now, overwrite, forUpdate } = this.#dialect;
      // The admin's row first, here as in the assignment: one order of locks.
      const [row] = await tx.rows(
        `SELECT release_at, (SELECT COUNT(*) FROM chat_admin_leases l WHERE l.admin_id = a.admin_id AND l.expires_at > ${now()}) AS leases
         FROM chat_admins a WHERE admin_id = ?${forUpdate}`,
        [admin.id],
      );
      // A short absence within the grace is no fresh start in the order of who is idle longest.
      const stayed = row !== undefined && (row['release_at'] !== null || Number(row['leases']) > 0);
      if (!row) {
        const columns = ['admin_id', 'nickname', 'avatar'];
        tx.insert(
          'chat_admins',
          columns,
          [[admin.id, admin.nickname, admin.avatar]],
          overwrite('admin_id', columns.slice(1)),
        );
      }
      tx.later(
        `UPDATE chat_admins SET nickname = ?, avatar = ?, release_at = NULL${stayed ? '' : `, idle_since = ${now()}`} WHERE admin_id = ?`,
        [admin.nickname, admin.avatar, admin.id],
      );
      this.#lease(tx, [admin.id], nodeId);
    });
  }

  offline(adminId: number, nodeId: string, graceMs: number): Promise<void> {
    return this.#settle(async (tx) => {
      await lockAdmins(tx, this.#dialect, [adminId]);
      tx.later('DELETE FROM chat_admin_leases WHERE admin_id = ? AND node_id = ?', [adminId, nodeId]);
      this.#startGrace(tx, [adminId], graceMs);
    });
  }

  async renew(adminIds: readonly number[], nodeId: string): Promise<void> {
    if (adminIds.length === 0) return;
    const ids = [...adminIds].sort((a, b) => a - b);
    await this.#settle(async (tx) => {
      await lockAdmins(tx, this.#dialect, ids);
      this.#lease(tx, ids, nodeId);
      tx.later(
        `UPDATE chat_admins SET release_at = NULL WHERE release_at IS NOT NULL AND admin_id IN (${marks(ids)})`,
        ids,
      );
    });
  }

  async expire(graceMs: number, aloneAs: string | null): Promise<void> {
    const where = aloneAs === null ? `expires_at <= ${this.#dialect.now()}` : 'node_id <> ?';
    const values = aloneAs === null ? [] : [aloneAs];
    // Most looks find nothing and need no transaction of their own.
    const lapsed = await this.#settle((tx) =>
      tx.rows(`SELECT DISTINCT admin_id FROM chat_admin_leases WHERE ${where}`, values),
    );
    if (lapsed.length === 0) return;
    const ids = lapsed.map((row) => row['admin_id'] as number).sort((a, b) => a - b);
    await this.#settle(async (tx) => {
      await lockAdmins(tx, this.#dialect, ids);
      tx.later(`DELETE FROM chat_admin_leases WHERE ${where}`, values);
      this.#startGrace(tx, ids, graceMs);
    });
  }

  async overdue(): Promise<readonly number[]> {
    const rows = await this.#settle((tx) =>
      tx.rows(`SELECT admin_id FROM chat_admins WHERE release_at <= ${this.#dialect.now()} ORDER BY admin_id`, []),
    );
    return rows.map((row) => row['admin_id'] as number);
  }

  async settled(adminId: number): Promise<void> {
    await this.#settle((tx) =>
      tx.run(`UPDATE chat_admins SET release_at = NULL WHERE admin_id = ? AND release_at <= ${this.#dialect.now()}`, [
        adminId,
      ]),
    );
  }

  async onlineAdmins(): Promise<readonly number[]> {
    const rows = await this.#settle((tx) =>
      tx.rows(`SELECT DISTINCT admin_id FROM chat_admin_leases WHERE expires_at > ${this.#dialect.now()}`, []),
    );
    return rows.map((row) => row['admin_id'] as number);
  }

  #lease(tx: Transaction, adminIds: readonly number[], nodeId: string): void {
    const { now, overwrite } = this.#dialect;
    const columns = ['admin_id', 'node_id'];
    // The expiry is the store's clock plus the lease: nodes may disagree about the time, leases must not.
    tx.insert(
      'chat_admin_leases',
      columns,
      adminIds.map((id) => [id, nodeId]),
      overwrite('admin_id, node_id', ['node_id']),
    );
    tx.later(
      `UPDATE chat_admin_leases SET expires_at = ${now(LEASE_MS)} WHERE node_id = ? AND admin_id IN (${marks(adminIds)})`,
      [nodeId, ...adminIds],
    );
  }

  /** For those who have no lease left and whose grace is not running yet. */
  #startGrace(tx: Transaction, adminIds: readonly number[], graceMs: number): void {
    const { now } = this.#dialect;
    tx.later(
      `UPDATE chat_admins SET release_at = ${now(graceMs)} WHERE release_at IS NULL AND admin_id IN (${marks(adminIds)})
       AND NOT EXISTS (SELECT 1 FROM chat_admin_leases l WHERE l.admin_id = chat_admins.admin_id AND l.expires_at > ${now()})`,
      adminIds,
    );
  }

  #settle<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return toldWhenAway(() => patiently(this.#dialect, () => this.#dialect.transaction(work)), this.#dialect);
  }
}

async function lockAdmins(tx: Transaction, dialect: Dialect, adminIds: readonly number[]): Promise<void> {
  await tx.rows(
    `SELECT admin_id FROM chat_admins WHERE admin_id IN (${marks(adminIds)}) ORDER BY admin_id${dialect.forUpdate}`,
    adminIds,
  );
}

/**
 * The admins who are online, locked until the transaction ends, with the active sessions that each has now. Whoever
 * assigns holds these locks, so two nodes cannot fill one admin's last place twice.
 */
export async function lockCandidates(tx: Transaction, dialect: Dialect): Promise<Map<number, Candidate>> {
  const online = await tx.rows(
    `SELECT a.admin_id, a.idle_since FROM chat_admins a WHERE EXISTS
       (SELECT 1 FROM chat_admin_leases l WHERE l.admin_id = a.admin_id AND l.expires_at > ${dialect.now()})
     ORDER BY a.admin_id${dialect.forUpdate}`,
    [],
  );
  const candidates = new Map<number, Candidate>();
  if (online.length === 0) return candidates;
  const ids = online.map((row) => row['admin_id'] as number);
  const counts = await tx.rows(
    `SELECT admin_id, COUNT(*) AS active FROM chat_sessions WHERE status='active' AND admin_id IN (${marks(ids)}) GROUP BY admin_id`,
    ids,
  );
  const active = new Map(counts.map((row) => [row['admin_id'], Number(row['active'])]));
  for (const row of online) {
    const adminId = row['admin_id'] as number;
    candidates.set(adminId, { adminId, active: active.get(adminId) ?? 0, idleSince: fromTime(row['idle_since']) ?? 0 });
  }
  return candidates;
}

/** Admins whose share of work changed are idle from now on, not from before. */
export function noteWorkChanged(tx: Transaction, dialect: Dialect, adminIds: readonly number[]): void {
  if (adminIds.length === 0) return;
  tx.later(`UPDATE chat_admins SET idle_since = ${dialect.now()} WHERE admin_id IN (${marks(adminIds)})`, adminIds);
}
