import { describe, expect, it } from 'vitest';
import { faultsOf } from './check-layers.mjs';

const server = 'packages/server/src';

describe('the layer table', () => {
  it.each([
    ['packages/protocol/src/frames.ts', "import { Type } from 'typebox';"],
    ['packages/protocol/src/frames.ts', "import { limits } from './limits.ts';"],
    [`${server}/domain/chat.ts`, "import { limits } from '@switchboard/protocol';"],
    [`${server}/domain/rules/claim.ts`, "import { session } from '../session.ts';"],
    [`${server}/domain/chat.ts`, 'const stored = new Date(time);'],
    [`${server}/domain/chat.test.ts`, "import { readFileSync } from 'node:fs';"],
    [`${server}/store/sql-store.ts`, "import { log } from '../log.ts'; import { sql } from 'kysely';"],
    [`${server}/store/sqlite.ts`, "await import('@photostructure/sqlite'); import 'node:fs';"],
    [`${server}/http/server.ts`, "import cors from '@fastify/cors'; import { config } from '../config.ts';"],
    [`${server}/app.ts`, "import { SqlStore } from './store/sql-store.ts';"],
    [`${server}/clock.ts`, 'const now = new Date();'],
    ['packages/client/src/connection.ts', "import type { Frame } from '@switchboard/protocol';"],
    ['conformance/rules.test.ts', "import { startServer } from '../testing/server-process.ts';"],
  ])('allows %s: %s', (file, source) => {
    expect(faultsOf(file, source)).toEqual([]);
  });

  it.each([
    ['packages/protocol/src/frames.ts', "import 'node:buffer';", "may not import Node's node:buffer"],
    ['packages/protocol/src/frames.ts', "import fs from 'fs';", "may not import Node's fs"],
    ['packages/protocol/src/frames.ts', "import { fastify } from 'fastify';", 'may not import the package fastify'],
    [`${server}/domain/chat.ts`, "import 'node:crypto';", "may not import Node's node:crypto"],
    [`${server}/domain/chat.ts`, "import { log } from '../log.ts';", 'may not import from log'],
    [`${server}/domain/chat.ts`, "import type { SqlStore } from '../store/sql-store.ts';", 'may not import from store'],
    [`${server}/domain/chat.ts`, "let store: import('../store/sql-store.ts').SqlStore;", 'may not import from store'],
    [`${server}/domain/chat.ts`, "import { Type } from 'typebox';", 'may not import the package typebox'],
    [`${server}/domain/chat.ts`, 'const now = new Date();', 'takes the time from'],
    [`${server}/store/sql-store.ts`, "import { LocalBus } from '../bus/local.ts';", 'may not import from bus'],
    [`${server}/store/sql-store.ts`, "import { config } from '../config.ts';", 'may not import from doors'],
    [`${server}/bus/redis.ts`, "export * from '../realtime/hub.ts';", 'may not import from realtime'],
    [`${server}/realtime/hub.ts`, "await import('../store/sql-store.ts');", 'may not import from store'],
    [`${server}/http/server.ts`, "import { hub } from '../realtime/hub.ts';", 'may not import from realtime'],
    [`${server}/auth.ts`, "import { createSwitchboard } from './app.ts';", 'may not import from app'],
    [`${server}/app.ts`, 'await import(name);', 'not a plain string'],
    [`${server}/app.ts`, "import '../../protocol/src/index.ts';", 'reaches into another package'],
    [`${server}/utils/time.ts`, '', 'belongs to no room'],
    ['packages/client/src/connection.ts', "import { decode } from '@switchboard/protocol';", 'only types'],
    ['conformance/rules.test.ts', "import '../packages/server/src/app.ts';", 'reaches into another package'],
    ['conformance/rules.test.ts', "import '@switchboard/server/dist/app.js';", 'does not know'],
  ])('refuses %s: %s', (file, source, fault) => {
    expect(faultsOf(file, source)).toEqual([expect.stringContaining(fault)]);
  });

  it('names the line of the breach', () => {
    expect(faultsOf(`${server}/domain/chat.ts`, "\n\nimport 'node:fs';")[0]).toContain('domain/chat.ts:3: domain');
  });
});
