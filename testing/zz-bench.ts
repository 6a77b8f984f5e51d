import { startMariadb } from '/work/main/testing/mariadb.ts';
import { startMysql } from '/work/main/testing/real-mysql.ts';
import { documentSql, fillOldTables } from '/work/main/packages/server/test/store/document-tables.ts';
const root = process.argv[2], which = process.argv[3], n = Number(process.argv[4]), pool = process.argv[5];
const { mysqlDialect } = await import(`${root}/packages/server/src/store/mysql.ts`);
const { SqlStore } = await import(`${root}/packages/server/src/store/sql-store.ts`);
const server = await (which === 'mariadb' ? startMariadb : startMysql)({ flags: pool ? [`--innodb-buffer-pool-size=${pool}`] : [] });
try {
  const db = await server.createDatabase();
  let t = performance.now();
  await db.script(documentSql);
  await fillOldTables(db, n);
  console.log('fill', Math.round(performance.now() - t));
  const url = new URL(db.url);
  const d = mysqlDialect({ user: 'root', password: '', database: url.pathname.slice(1), socketPath: url.searchParams.get('socketPath') });
  if (d.alone) { const alone = d.alone; d.alone = (work: any) => alone(async (run: any) => work(async (sql: string, v: any) => { const t0 = performance.now(); const r = await run(sql, v); const ms = performance.now() - t0; if (ms > 500) console.log(Math.round(ms), sql.replace(/\s+/g, ' ').slice(0, 90)); return r; })); }
  const store = new SqlStore({ dialect: d, capacity: 10 });
  t = performance.now();
  await store.migrate();
  console.log('TOTAL', which, n, pool, Math.round(performance.now() - t));
  await store.close();
} finally { await server.stop(); }
process.exit(0);
