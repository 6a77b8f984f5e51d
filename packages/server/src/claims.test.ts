import { ChatError } from '@switchboard/protocol';
import { describe, expect, test } from 'vitest';
import { type Account, type ClaimRules, readClaims, usualClaims } from './claims.ts';

/** What claims come to; `refused` when they make the token invalid. */
function outcome(claims: object, rules: Partial<ClaimRules> = {}): Account | 'refused' {
  try {
    return readClaims({ ...claims }, { claims: usualClaims, adminWhen: [], ...rules });
  } catch (error) {
    if (!(error instanceof ChatError)) throw error;
    expect(error.code).toBe('UNAUTHORIZED');
    return 'refused';
  }
}

function account(claims: object, rules: Partial<ClaimRules> = {}): Account {
  const found = outcome({ userId: 31, ...claims }, rules);
  if (found === 'refused') throw new Error('refused');
  return found;
}

const rolesOf = (claims: object, rules: Partial<ClaimRules> = {}): string =>
  [...account(claims, rules).roles].toSorted((a, b) => a.localeCompare(b)).join(',');

test.for<[claims: object, id: number]>([
  [{ userId: 31 }, 31],
  [{ userId: '31' }, 31],
  [{ userId: 2_147_483_647 }, 2_147_483_647],
  [{ userId: '2147483647' }, 2_147_483_647],
  [{ sub: '31' }, 31],
  [{ sub: 31 }, 31],
  [{ userId: null, sub: '31' }, 31],
  [{ userId: 31, sub: '32' }, 31],
  [{ userId: 31, sub: 'somebody@example.com' }, 31],
])('account: %o is %i', ([claims, id]) => {
  expect(outcome(claims)).toMatchObject({ identity: { id } });
});

const wrong: Record<string, string> = {
  userId: `[0, -0, -1, 1.5, 2147483648, 1e300, 1e999, true, false, [], [31], {}, {"id": 31}, "", "0", " 31", "31 ", "031", "+31",
    "3e1", "31.0", "0x1f", "-31", "abc", "31' OR '1'='1", "３１", "12345678901"]`,
  sub: '[null, 0, -1, 1.5, true, [31], {}, "", "0", " 31", "3e1", "somebody@example.com"]',
  roles: '[0, 1, true, false, {}, {"admin": true}, [1], [null], [["admin"]], ["user", {}], ["admin", 7]]',
  role: '[1, true, {}, [null]]',
  nickname: '[1, true, [], ["小明"], {}, {"toString": "x"}]',
  avatar: '[1, true, [], {}]',
};
test.for(Object.entries(wrong))('a %s of the wrong kind makes the token invalid', ([name, values]) => {
  const account31 = name === 'userId' || name === 'sub' ? {} : { userId: 31 };
  for (const value of JSON.parse(values) as unknown[]) {
    expect([value, outcome({ ...account31, [name]: value })]).toEqual([value, 'refused']);
  }
});

test('no account at all', () => {
  for (const claims of [{}, { userId: null }, { id: 31 }, { user: { userId: 31 } }])
    expect(outcome(claims)).toBe('refused');
});

test.for<[claims: object, roles: string]>([
  [{}, 'user'],
  [{ roles: [] }, 'user'],
  [{ roles: null }, 'user'],
  [{ roles: ['user'] }, 'user'],
  [{ roles: ['admin'] }, 'admin'],
  [{ roles: ['admin', 'admin', 'user'] }, 'admin,user'],
  [{ roles: ['vip', 'admin'] }, 'admin'],
  [{ roles: ['vip'] }, 'user'],
  [{ roles: 'admin' }, 'admin'],
  [{ role: 'admin' }, 'admin'],
  [{ role: 'user' }, 'user'],
  [{ role: ['admin'] }, 'admin'],
  [{ roles: [], role: 'admin' }, 'user'],
  [{ roles: ['user'], role: 'admin' }, 'user'],
  [{ roles: ['Admin', 'ADMIN', ' admin', 'admin,user', 'administrator'] }, 'user'],
  [{ role: 'user admin' }, 'user'],
  [{ type: 'admin', admin: true, isAdmin: true, scope: 'admin' }, 'user'],
])('roles: %o is %s', ([claims, roles]) => {
  expect(rolesOf(claims)).toBe(roles);
});

describe('names of claims', () => {
  test('may be nested, or have dots in them', () => {
    const claims = {
      userId: 'uid',
      roles: 'https://shop.example/roles',
      nickname: 'profile.name',
      avatar: 'profile.picture',
    };
    const said = { uid: 31, 'https://shop.example/roles': ['admin'], profile: { name: '小明', picture: '/a.png' } };
    const { identity, roles } = account(said, { claims });
    expect(identity).toEqual({ id: 31, nickname: '小明', avatar: '/a.png' });
    expect([...roles]).toEqual(['admin']);
    // The whole name comes before the steps, and a step that is no object leads nowhere.
    const both = { uid: 31, 'profile.name': 'whole', profile: { name: 'steps' } };
    expect(account(both, { claims }).identity.nickname).toBe('whole');
    for (const profile of ['text', 7, null, [], ['name']]) {
      expect(account({ uid: 31, profile }, { claims }).identity.nickname).toBe('');
    }
  });

  test('are the only ones that are read, once they are not the usual ones', () => {
    const claims = { ...usualClaims, userId: 'uid', roles: 'chatRoles' };
    expect(outcome({ userId: 31, sub: '31' }, { claims })).toBe('refused');
    expect(rolesOf({ uid: 31, roles: ['admin'], role: 'admin' }, { claims })).toBe('user');
  });

  test('do not reach what all objects have', () => {
    for (const userId of ['__proto__.id', 'constructor.length', 'toString.length', 'a.length']) {
      expect(outcome({ a: 'text', sub: '31' }, { claims: { ...usualClaims, userId } })).toBe('refused');
    }
    expect(rolesOf({}, { claims: { ...usualClaims, roles: 'constructor.name' } })).toBe('user');
  });
});

test.for<[rule: string, claims: object, admin: boolean]>([
  ['isAdmin=true', { isAdmin: true }, true],
  ['isAdmin=true', { isAdmin: 'true' }, true],
  ['isAdmin=true', { isAdmin: false }, false],
  ['isAdmin=true', { isAdmin: [true] }, false],
  ['isAdmin=true', { isAdmin: 1 }, false],
  ['isAdmin=true', {}, false],
  ['gone=null', { gone: null }, false],
  ['gone=undefined', {}, false],
  ['level=9', { level: 9 }, true],
  ['level=9', { level: 99 }, false],
  ['a.b=x', { a: { b: 'x' } }, true],
  ['scope~chat:admin', { scope: 'chat:read chat:admin' }, true],
  ['scope~chat:admin', { scope: 'chat:administrators' }, false],
  ['scope~chat:admin', { scope: 'xchat:admin' }, false],
  ['scope~chat:admin', { scope: ['chat:read', 'chat:admin'] }, true],
  ['scope~chat:admin', { scope: [['chat:admin']] }, false],
  ['scope~chat:admin', { scope: { 'chat:admin': true } }, false],
  ['scope~chat:admin', { scope: 7 }, false],
])('admin when %s, of %o: %s', ([rule, claims, admin]) => {
  const [, claim = '', how, value = ''] = /^(.+?)([=~])(.+)$/.exec(rule) ?? [];
  const adminWhen = [
    { claim: 'nothing', how: 'equals', value: 'x' } as const,
    { claim, how: how === '=' ? 'equals' : 'contains', value } as const,
  ];
  expect(account(claims, { adminWhen }).roles.has('admin')).toBe(admin);
  expect(account({ roles: ['admin'] }, { adminWhen }).roles.has('admin')).toBe(true);
});

test.for<[given: string, shown: string]>([
  ['小明', '小明'],
  ['', ''],
  ['x'.repeat(101), 'x'.repeat(100)],
  ['😀'.repeat(101), '😀'.repeat(100)],
  [`${'x'.repeat(99)}😀😀`, `${'x'.repeat(99)}😀`],
  ['👩‍👩‍👧', '👩‍👩‍👧'],
  ['a\uD83Db', 'ab'],
  ['\uDE00', ''],
  ['a\0b\u001B[31mc\nd\u0085e\uFFFDf', 'ab[31mcdef'],
  ['e\u0301', 'e\u0301'],
  ['<img src=x onerror=alert(1)>', '<img src=x onerror=alert(1)>'],
])('nickname %j is shown as %j', ([nickname, shown]) => {
  expect(account({ nickname }).identity.nickname).toBe(shown);
});

test('an avatar has 1,000 characters at most', () => {
  expect(account({ avatar: 'x'.repeat(1_001) }).identity.avatar).toHaveLength(1_000);
});
