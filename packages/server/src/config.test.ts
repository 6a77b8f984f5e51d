import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { base, faultOf } from '../test/support/config-fault.ts';
import { type Config, readConfig } from './config.ts';
import { settings } from './settings.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'switchboard-config-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('without any setting: demo mode, with the usual values', () => {
  const { jwt, ...config } = readConfig({ DATA_DIR: join(folder, 'usual') });
  expect(config).toEqual({
    host: '127.0.0.1',
    port: 8787,
    database: { kind: 'sqlite', file: './data/switchboard.db' },
    redisUrl: null,
    demo: true,
    businessZone: 'Asia/Shanghai',
    allowedOrigins: null,
    logLevel: 'info',
    rateLimit: { frames: { perSecond: 50, burst: 200 }, requests: { perSecond: 100, burst: 300 } },
    frameNames: {},
    maxActiveSessionsPerAdmin: 10,
    adminOfflineGraceSeconds: 30,
    databaseWaitSeconds: 30,
    trustProxy: false,
  });
  expect(jwt).toEqual({
    key: { kind: 'secret', secret: expect.any(String) },
    claims: { userId: 'userId', roles: 'roles', nickname: 'nickname', avatar: 'avatar' },
    adminWhen: [],
    leewaySeconds: 0,
    issuer: null,
    audience: null,
  });
});

describe('values that are taken', () => {
  const mysql = (options: object): Partial<Config> => ({ database: { kind: 'mysql', options: options as never } });
  const sqlite = (file: string): Partial<Config> => ({ database: { kind: 'sqlite', file } });
  const local = { host: 'localhost', port: 3306, user: 'u', password: '', database: 'shop' };

  test.for<[name: string, value: string, wanted: Partial<Config>]>([
    ['PORT', '0', { port: 0 }],
    ['PORT', '65535', { port: 65_535 }],
    ['PORT', '', { port: 8787 }],
    ['HOST', '', { host: '0.0.0.0' }],
    ['HOST', '10.1.2.3', { host: '10.1.2.3' }],
    ['HOST', '::', { host: '::' }],
    ['HOST', '[::1]', { host: '::1' }],
    ['HOST', 'fe80::1%eth0', { host: 'fe80::1%eth0' }],
    ['HOST', 'chat_1.internal', { host: 'chat_1.internal' }],
    ['DATABASE_URL', '', sqlite('./data/switchboard.db')],
    ['DATABASE_URL', 'sqlite:./a.db', sqlite('./a.db')],
    ['DATABASE_URL', 'sqlite:a.db', sqlite('a.db')],
    ['DATABASE_URL', 'sqlite:/var/a.db', sqlite('/var/a.db')],
    ['DATABASE_URL', 'sqlite:///var/a.db', sqlite('/var/a.db')],
    ['DATABASE_URL', 'sqlite://./a.db', sqlite('./a.db')],
    ['DATABASE_URL', 'sqlite://data/a.db', sqlite('data/a.db')],
    ['DATABASE_URL', 'sqlite:../数据/聊天.db', sqlite('../数据/聊天.db')],
    ['DATABASE_URL', 'sqlite:C:\\data\\a.db', sqlite('C:\\data\\a.db')],
    ['DATABASE_URL', 'sqlite::memory:', sqlite(':memory:')],
    ['DATABASE_URL', 'sqlite://:memory:', sqlite(':memory:')],
    ['DATABASE_URL', 'mysql://u@localhost/shop', mysql(local)],
    ['DATABASE_URL', 'mysql://u@localhost:3307/shop', mysql({ ...local, port: 3307 })],
    ['DATABASE_URL', 'mysql://u:p%40%2F%3A%23%25@localhost/shop', mysql({ ...local, password: 'p@/:#%' })],
    [
      'DATABASE_URL',
      'mysql://%E7%94%A8:%E5%AF%86@localhost/%E5%BA%97',
      mysql({ ...local, user: '用', password: '密', database: '店' }),
    ],
    ['DATABASE_URL', 'mysql://u@[::1]/shop', mysql({ ...local, host: '::1' })],
    [
      'DATABASE_URL',
      'mysql://u@localhost/shop?socketPath=/run/mysqld.sock',
      mysql({ user: 'u', password: '', database: 'shop', socketPath: '/run/mysqld.sock' }),
    ],
    [
      'DATABASE_URL',
      'mysql://u@localhost/shop?socketPath=%2Frun%2Fmy%20sql.sock',
      mysql({ user: 'u', password: '', database: 'shop', socketPath: '/run/my sql.sock' }),
    ],
    ['DATABASE_URL', 'mysql://u@localhost/shop?socketPath=', mysql(local)],
    ['REDIS_URL', 'redis://127.0.0.1:6379', { redisUrl: 'redis://127.0.0.1:6379' }],
    ['REDIS_URL', 'rediss://:pass@redis.example:6380/2', { redisUrl: 'rediss://:pass@redis.example:6380/2' }],
    ['REDIS_URL', 'redis://[::1]/', { redisUrl: 'redis://[::1]/' }],
    ['REDIS_URL', '', { redisUrl: null }],
    ['TZ_BUSINESS', 'UTC', { businessZone: 'UTC' }],
    ['TZ_BUSINESS', 'America/Argentina/Buenos_Aires', { businessZone: 'America/Argentina/Buenos_Aires' }],
    ['ALLOWED_ORIGINS', '*', { allowedOrigins: ['*'] }],
    [
      'ALLOWED_ORIGINS',
      'https://a.example, http://b.example:8080 ,',
      { allowedOrigins: ['https://a.example', 'http://b.example:8080'] },
    ],
    ['ALLOWED_ORIGINS', 'http://[::1]:3000', { allowedOrigins: ['http://[::1]:3000'] }],
    ['ALLOWED_ORIGINS', 'capacitor://localhost', { allowedOrigins: ['capacitor://localhost'] }],
    ['ALLOWED_ORIGINS', 'https://xn--fiq228c.example', { allowedOrigins: ['https://xn--fiq228c.example'] }],
    ...['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].map(
      (logLevel): [string, string, Partial<Config>] => ['LOG_LEVEL', logLevel, { logLevel }],
    ),
    ['RATE_LIMIT', 'off', { rateLimit: null }],
    [
      'RATE_LIMIT',
      'frames=1/2',
      { rateLimit: { frames: { perSecond: 1, burst: 2 }, requests: { perSecond: 100, burst: 300 } } },
    ],
    [
      'RATE_LIMIT',
      'requests=3/4, frames=1/2',
      { rateLimit: { frames: { perSecond: 1, burst: 2 }, requests: { perSecond: 3, burst: 4 } } },
    ],
    ['FRAME_NAMES', 'new_admin_message=admin_message', { frameNames: { new_admin_message: 'admin_message' } }],
    ['FRAME_NAMES', 'message_ack=ack, error=chat.error', { frameNames: { message_ack: 'ack', error: 'chat.error' } }],
    ['FRAME_NAMES', 'error=error', { frameNames: { error: 'error' } }],
    ['MAX_ACTIVE_SESSIONS_PER_ADMIN', '1', { maxActiveSessionsPerAdmin: 1 }],
    ['ADMIN_OFFLINE_GRACE_SECONDS', '0', { adminOfflineGraceSeconds: 0 }],
    ['DATABASE_WAIT_SECONDS', '3600', { databaseWaitSeconds: 3_600 }],
    ['TRUST_PROXY', 'true', { trustProxy: true }],
    ['TRUST_PROXY', 'false', { trustProxy: false }],
    ['TRUST_PROXY', '10.0.0.0/8', { trustProxy: '10.0.0.0/8' }],
    ['TRUST_PROXY', 'loopback, 192.168.1.1 ,fd00::/8', { trustProxy: 'loopback,192.168.1.1,fd00::/8' }],
  ])('%s=%s', ([name, value, wanted]) => {
    expect(readConfig({ ...base, [name]: value })).toMatchObject(wanted);
  });

  test.for<[name: string, value: string, wanted: Partial<Config['jwt']>]>([
    ['JWT_LEEWAY_SECONDS', '600', { leewaySeconds: 600 }],
    ['JWT_ISSUER', 'https://login.example', { issuer: 'https://login.example' }],
    ['JWT_AUDIENCE', 'chat', { audience: 'chat' }],
    [
      'JWT_CLAIM_USER_ID',
      'account.id',
      { claims: { userId: 'account.id', roles: 'roles', nickname: 'nickname', avatar: 'avatar' } },
    ],
    [
      'JWT_CLAIM_ROLES',
      'https://shop.example/roles',
      { claims: { userId: 'userId', roles: 'https://shop.example/roles', nickname: 'nickname', avatar: 'avatar' } },
    ],
    ['JWT_ADMIN_WHEN', 'isAdmin=true', { adminWhen: [{ claim: 'isAdmin', how: 'equals', value: 'true' }] }],
    [
      'JWT_ADMIN_WHEN',
      'a.b=x=y, scope~chat:admin',
      {
        adminWhen: [
          { claim: 'a.b', how: 'equals', value: 'x=y' },
          { claim: 'scope', how: 'contains', value: 'chat:admin' },
        ],
      },
    ],
  ])('%s=%s', ([name, value, wanted]) => {
    expect(readConfig({ ...base, [name]: value }).jwt).toMatchObject(wanted);
  });

  test('every example', () => {
    for (const { name, example } of settings) {
      if (name === 'JWT_SECRET' || name === 'JWT_PUBLIC_KEY') continue;
      const key = name === 'JWKS_URL' ? {} : base;
      expect(() => readConfig({ ...key, [name]: example })).not.toThrow();
    }
  });
});

describe('values that are refused', () => {
  const whole = [
    '-1',
    '1.5',
    ' 1',
    '1 ',
    '0x10',
    '1e3',
    'abc',
    '９',
    'NaN',
    'Infinity',
    '99999999999999999999',
    '+1',
    '--',
  ];
  const frames = [
    'send_message',
    'new_user_message',
    'session_status_changed',
    'hello',
    'welcome',
    'ping',
    'pong',
    'heartbeat',
    'resumed',
    'session_events',
  ];

  test.for<[name: string, values: readonly string[]]>([
    ['PORT', [...whole, '65536']],
    [
      'HOST',
      [
        'http://localhost',
        '0.0.0.0:8787',
        '[::1]:8787',
        '256.1.1.1',
        '1.2.3',
        'a b',
        'localhost\nPORT=1',
        '::g',
        '*',
        '/run/chat.sock',
        'a..b',
        '.',
      ],
    ],
    [
      'DATABASE_URL',
      [
        'postgres://u:hunter22@h/d',
        'mysql:u:hunter22@h/d',
        'MYSQL://u:hunter22@h/d',
        'sqlite:',
        'sqlite://',
        'sqlite:  ',
        'sqlite:./data/',
        'sqlite:a\\',
        'sqlite:a\0b',
        'sqlite:a.db?mode=ro',
        './data/a.db',
        'mysql://',
        'mysql://h/d',
        'mysql://:hunter22@h/d',
        'mysql://u:hunter22@h',
        'mysql://u:hunter22@h/',
        'mysql://u:hunter22@/d',
        'mysql://u:hunter22@h/d/e',
        'mysql://u:hunter22@h/d%2Fe',
        'mysql://u:hunter22@h:99999/d',
        'mysql://u:hunter22@h:x/d',
        'mysql://u:hunter22#x@h/d',
        'mysql://u:hunter22/x@h/d',
        'mysql://u:12/hunter22@h/d',
        'mysql://u:12?hunter22@h/d',
        'mysql://u:hunter22@h/d#hunter22',
        'mysql://u:x@y/z?hunter22@h/d',
        'mysql://u:hunter22%@h/d',
        'mysql://u:hunter22%zz@h/d',
        'mysql://u:hunter22@h/%ff',
        'mysql://u:hunter22@h/d?ssl=true',
        'mysql://u:hunter22@h/d?socketPath=/s&hunter22=1',
        'mysql://u:hunter22 @ h/d',
      ],
    ],
    [
      'REDIS_URL',
      [
        '127.0.0.1:6379',
        'http://:hunter22@h',
        'redis:',
        'redis://',
        'redis:///0',
        'redis://:hunter22@h/db',
        'redis://:hunter22@h/0/1',
        'redis://:hunter22@h:x',
        'redis://:hunter22/@h/0',
        'redis+tls://:hunter22@h',
      ],
    ],
    ...['JWT_CLAIM_USER_ID', 'JWT_CLAIM_ROLES', 'JWT_CLAIM_NICKNAME', 'JWT_CLAIM_AVATAR'].map(
      (name): [string, string[]] => [name, ['a b', '.', 'a.', '.a', 'a..b', 'a[0]', '$.a', 'a\nb', '用户']],
    ),
    ['JWT_ADMIN_WHEN', ['isAdmin', 'isAdmin=', '=true', '~x', 'is admin=true', 'isAdmin:true', 'a=b,c', '{"a":1}']],
    ['JWT_LEEWAY_SECONDS', [...whole, '601']],
    ['TZ_BUSINESS', ['Mars/Olympus', '+08:00', '8', 'GMT+8', 'Asia/Shanghai ', 'Asia/Shanghai\n', '北京']],
    [
      'ALLOWED_ORIGINS',
      [
        'shop.example',
        'https://shop.example/',
        'https://shop.example/path',
        'https://Shop.example',
        'https://shop.example:443',
        'https://u:p@shop.example',
        'https://*.shop.example',
        'https://a.example https://b.example',
        'null',
        'https://',
        'https://店.example',
        'https://a.example,b.example',
        '**',
        'file:///',
      ],
    ],
    ['LOG_LEVEL', ['INFO', 'verbose', 'warning', 'off', '30']],
    [
      'RATE_LIMIT',
      [
        'on',
        'OFF',
        '0',
        '50/200',
        'frames=50',
        'frames=0/1',
        'frames=1/0',
        'frames=-1/1',
        'frames=1/1.5',
        'frames=12345678/1',
        'messages=1/1',
        'frames=1/1;requests=1/1',
        'off,frames=1/1',
      ],
    ],
    [
      'FRAME_NAMES',
      [
        'new_admin_message',
        'new_admin_message=',
        '=x',
        'new_user_message=x',
        'send_message=x',
        'constructor=x',
        '__proto__=x',
        'error=a b',
        `error=${'x'.repeat(65)}`,
        'error=a,error=b',
        'error=a,message_ack=a',
        'message_ack=new_admin_message',
        'error=message_ack,message_ack=error',
        ...frames.map((frame) => `message_ack=${frame}`),
      ],
    ],
    ['MAX_ACTIVE_SESSIONS_PER_ADMIN', [...whole, '0', '100001']],
    ['ADMIN_OFFLINE_GRACE_SECONDS', [...whole, '86401']],
    ['DATABASE_WAIT_SECONDS', [...whole, '3601']],
    [
      'TRUST_PROXY',
      [
        'yes',
        'TRUE',
        '1',
        '2',
        'deadbeef',
        '10.0.0.0/33',
        '10.0.0.0/0',
        '10.0.0.0/',
        '10.0.0/8',
        '::/129',
        'fe80::1%eth0',
        'proxy.internal',
        '10.0.0.1;10.0.0.2',
        'true,10.0.0.1',
        ',',
      ],
    ],
  ])('%s', ([name, values]) => {
    for (const value of values) {
      expect([value, faultOf({ ...base, [name]: value }, ['hunter22']).variable]).toEqual([value, name]);
    }
  });
});
