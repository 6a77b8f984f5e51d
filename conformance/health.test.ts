/** Health, metrics, and secrets that nobody may find. */
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../testing/free-port.ts';
import { startMariadb } from '../testing/mariadb.ts';
import { describeWith } from '../testing/requires.ts';
import type { Database, PrivateSqlServer } from '../testing/sql-server.ts';
import { bootHere, useServer } from './boot.ts';
import { newId, signHs256 } from './house.ts';
import type { House } from './house.ts';
import { Peer } from './peer.ts';
import { visit } from './scenes.ts';

const { house } = useServer();

test('R12.1 R12.2 R12.3 health, readiness and metrics are there for anybody', async () => {
  await visit(house);
  for (const path of ['/healthz', '/readyz']) {
    const response = await fetch(house.url + path);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toMatch(/^application\/json/);
    expect(await response.json()).toMatchObject({ status: 'ok' });
  }
  const response = await fetch(`${house.url}/metrics`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^text\/plain/);
  const lines = (await response.text()).split('\n').filter((line) => line !== '');
  expect(lines.length).toBeGreaterThan(20);
  for (const line of lines) {
    expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"]*",?)*\})? (NaN|[+-]?Inf|-?[\d.e+-]+))$/);
  }
  // A HEAD request is what many load balancers send.
  expect((await fetch(`${house.url}/healthz`, { method: 'HEAD' })).status).toBe(200);
});

describeWith(
  'mariadb',
  'secrets',
  () => {
    let sql: PrivateSqlServer;
    let database: Database;
    const password = 'canary-pässword/@:#?"\\%41';
    const secret = 'canary-jwt-secret-0123456789abcdef0123456789';
    const redisPassword = 'canary-redis-password';

    beforeAll(async () => {
      sql = await startMariadb();
      database = await sql.createDatabase('secrets');
      await sql.query("CREATE USER canary@'127.0.0.1' IDENTIFIED BY ?", [password]);
      await sql.query(`GRANT ALL ON ${database.name}.* TO canary@'127.0.0.1'`);
    });
    afterAll(() => sql?.stop());

    test('R12.4 no token and no password is found anywhere, whichever way it went', async () => {
      const url = new URL(database.tcpUrl);
      const databaseUrl = `mysql://canary:${encodeURIComponent(password)}@${url.host}${url.pathname}`;
      const nowhere = `redis://:${redisPassword}@127.0.0.1:${await freePort()}`;
      const { server, house: here } = await bootHere({
        databaseUrl,
        redisUrl: nowhere,
        env: { JWT_SECRET: secret, LOG_LEVEL: 'trace' },
      });
      const id = newId();
      const tokens = {
        user: here.token({ userId: id, canary: 'user' }),
        admin: here.token({ userId: id, roles: ['admin'], canary: 'admin' }),
        expired: here.token({ userId: id, roles: ['admin'], exp: 1_000_000, canary: 'expired' }),
        foreign: signHs256('somebody else’s secret, long enough to be one', { userId: id, canary: 'foreign' }),
        opaque: 'canary-opaque-token-0123456789',
      };

      const heard: string[] = [];
      const peers = await throughSockets(here, tokens, heard);
      heard.push(...(await throughRest(here, tokens, ['/api/admin/chat', '/chat', '/nothing'])));
      heard.push(...(await throughBytes(here, Object.values(tokens))));
      await sql.kill();
      heard.push(...(await throughRest(here, { admin: tokens.admin, expired: tokens.expired }, ['/admin/chat'])));
      for (const peer of peers)
        await peer.ask('send_message', { content: 'into the void', sessionId: 'canary-session' });
      await sql.start();
      heard.push(await (await fetch(`${here.url}/metrics`)).text());
      for (const peer of peers) heard.push(...peer.texts);
      await Promise.all(peers.map((peer) => peer.vanish()));
      await server.stop();

      const places = { output: server.output, heard: heard.join('\n'), database: await dump(database) };
      // Not even in part: the claims of a token are its middle, and its signature is its end.
      const secrets = [
        password,
        encodeURIComponent(password),
        'ssword/@',
        secret,
        redisPassword,
        tokens.opaque,
        ...Object.values(tokens).flatMap((token) => token.split('.').filter((part) => part.length > 25)),
      ];
      expect(places.output).toContain('listening');
      expect(places.database).toContain('chat_operation_logs');
      for (const [place, text] of Object.entries(places)) {
        expect([place, text.length > 500]).toEqual([place, true]);
        for (const each of secrets) {
          // The header of a token is no secret: it is the same for all.
          if (each === tokens.user.split('.')[0]) continue;
          expect({ place, found: around(text, each) }).toEqual({ place, found: '' });
        }
      }
    });

    test('R12.4 a start that fails does not tell either', async () => {
      const url = new URL(database.tcpUrl);
      for (const databaseUrl of [
        `mysql://canary:${encodeURIComponent(`${password}-wrong`)}@${url.host}${url.pathname}`,
        `mysql://canary:canary-raw-pass/word@${url.host}${url.pathname}`,
        `mysql://canary:${encodeURIComponent(password)}@127.0.0.1:1${url.pathname}`,
        `mysql://canary:${encodeURIComponent(password)}@${url.host}/no_such_database`,
      ]) {
        const failed = await bootHere({ databaseUrl, env: { DATABASE_WAIT_SECONDS: '0', LOG_LEVEL: 'trace' } }).then(
          () => '',
          (error: Error) => error.message,
        );
        expect(failed).toMatch(/DATABASE_URL/);
        for (const each of [password, encodeURIComponent(password), 'ssword/@', 'canary-raw-pass']) {
          expect(around(failed, each)).toBe('');
        }
      }
    });
  },
  { own: true },
);

type Tokens = Readonly<Record<string, string>>;

/** Connections by every way, let in or not. Those that were let in, with what all of them heard. */
async function throughSockets(house: House, tokens: Tokens, heard: string[]): Promise<Peer[]> {
  const peers: Peer[] = [];
  for (const token of Object.values(tokens)) {
    for (const by of ['query', 'header', 'subprotocol'] as const) {
      for (const query of [{}, { type: 'admin', role: 'admin' }, { type: 'nonsense' }]) {
        for (const [path, headers] of [
          ['/chat', {}],
          ['/chat', { origin: 'https://evil.example' }],
          ['/elsewhere', {}],
        ] as const) {
          try {
            peers.push(await Peer.open(house.url, token, { by, query, path, headers }));
          } catch (error) {
            heard.push((error as Error).message);
          }
        }
      }
    }
  }
  for (const peer of peers) {
    await peer.ask('send_message', { content: 'hello', sessionId: 'canary-session' });
    await peer.ask('nonsense', {});
    peer.send('{');
    peer.send(Buffer.from('binary'));
    await peer.fence();
  }
  return peers;
}

/** Every route, right and wrong, with every token in every place. */
async function throughRest(house: House, tokens: Tokens, prefixes: readonly string[]): Promise<string[]> {
  const routes: [string, string, string?][] = [
    ['GET', '/sessions'],
    ['GET', '/sessions?page=0'],
    ['GET', '/sessions/canary-session'],
    ['GET', '/sessions/%zz'],
    ['GET', '/sessions/canary-session/messages'],
    ['POST', '/sessions/canary-session/messages', '{"content":"hello"}'],
    ['POST', '/sessions/canary-session/messages', '{'],
    ['POST', '/sessions/canary-session/claim'],
    ['POST', '/sessions/canary-session/assign', '{"adminId":"x"}'],
    ['POST', '/sessions/nobody/close'],
    ['POST', '/sessions/nobody/rating', '{"score":9}'],
    ['GET', '/sessions/current'],
    ['GET', '/stats/today'],
    ['GET', '/operation-logs'],
    ['GET', '/nothing-here'],
    ['PUT', '/sessions'],
  ];
  const heard: string[] = [];
  for (const token of Object.values(tokens)) {
    await Promise.all(
      prefixes.flatMap((prefix) =>
        routes.flatMap(([method, path, body]) =>
          [`?token=${token}`, ''].map(async (query) => {
            const response = await fetch(
              `${house.url}${prefix}${path}${query && path.includes('?') ? query.replace('?', '&') : query}`,
              {
                method,
                headers: {
                  ...(query === '' ? { authorization: `Bearer ${token}` } : {}),
                  ...(body === undefined ? {} : { 'content-type': 'application/json' }),
                  referer: `https://shop.example.com/?token=${token}`,
                  'user-agent': `test ${token}`,
                },
                ...(body === undefined ? {} : { body }),
              },
            );
            heard.push(await response.text(), JSON.stringify([...response.headers]));
          }),
        ),
      ),
    );
  }
  return heard;
}

/** Requests that are none, with tokens in them. */
async function throughBytes(house: House, tokens: readonly string[]): Promise<string[]> {
  const { port } = new URL(house.url);
  const heard: string[] = [];
  for (const token of tokens) {
    for (const bytes of [
      `GET /chat?token=${token} HTTP/9.9\r\n\r\n`,
      `GET /chat?token=${token}\r\n\r\n`,
      `GET / HTTP/1.1\r\nAuthorization Bearer ${token}\r\n\r\n`,
      `GET /chat?token=${token} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
      `GET /admin/chat/sessions?token=${token} HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`,
    ]) {
      heard.push(
        await new Promise<string>((resolve) => {
          let text = '';
          const socket = connect(Number(port), '127.0.0.1', () => socket.end(bytes));
          socket.setEncoding('utf8').on('data', (part: string) => (text += part));
          socket.once('error', () => {});
          socket.once('close', () => resolve(text));
        }),
      );
    }
  }
  return heard;
}

/** Every row of every table. */
async function dump(database: Database): Promise<string> {
  const tables = await database.query(
    'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()',
  );
  const parts = [];
  for (const { name } of tables) {
    parts.push(String(name), JSON.stringify(await database.query(`SELECT * FROM ${String(name)}`)));
  }
  return parts.join('\n');
}

function around(text: string, part: string): string {
  const at = text.indexOf(part);
  return at < 0 ? '' : text.slice(Math.max(0, at - 150), at + part.length + 20);
}
