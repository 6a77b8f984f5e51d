/**
 * Which outside programs are here, and suites that need them: they run where the program is found (or a server's
 * URL is given) and are one skipped line otherwise. `REQUIRE_SERVICES=1` makes a failure of each such skip, except
 * of the services named in `SKIP_SERVICES` (comma-separated), which are skipped wherever they are.
 */
import { describe, expect, test } from 'vitest';
import { findChromium } from './chromium.ts';
import { findFaketime } from './fake-clock.ts';
import { mariadb } from './mariadb.ts';
import { mysql } from './real-mysql.ts';
import { findRedis } from './redis.ts';
import { canMountSmallDisk } from './small-disk.ts';

export type Service = 'mariadb' | 'mysql' | 'redis' | 'chromium' | 'faketime' | 'small-disk';

export interface Availability {
  readonly ok: boolean;
  /** What was found, or what is missing and how to get it. */
  readonly why: string;
}

export interface Need {
  /** The suite stops or changes the server, so that one given by a URL will not do. */
  readonly own?: boolean;
}

interface Source {
  readonly urlVariable?: string;
  readonly find: () => boolean;
  readonly missing: string;
}

const sources: Readonly<Record<Service, Source>> = {
  mariadb: {
    urlVariable: mariadb.urlVariable,
    find: () => mariadb.find() !== undefined,
    missing: 'no mariadbd (apt-get install mariadb-server)',
  },
  mysql: {
    urlVariable: mysql.urlVariable,
    find: () => mysql.find() !== undefined,
    missing: 'no MySQL mysqld in the PATH, nor one unpacked in ~/.cache/real-mysql',
  },
  redis: {
    urlVariable: 'TEST_REDIS_URL',
    find: () => findRedis() !== undefined,
    missing: 'no redis-server (apt-get install redis-server)',
  },
  chromium: {
    find: () => findChromium() !== undefined,
    missing: 'no Chromium (apt-get install chromium, or set CHROMIUM_PATH)',
  },
  faketime: {
    find: () => findFaketime() !== undefined,
    missing: 'no libfaketime (apt-get install faketime)',
  },
  'small-disk': {
    find: canMountSmallDisk,
    missing: 'no right to mount a small disk (root on Linux)',
  },
};

export function available(service: Service, need: Need = {}): Availability {
  const { urlVariable, find, missing } = sources[service];
  if (excused(service)) return { ok: false, why: `${service} is named in SKIP_SERVICES` };
  const url = urlVariable === undefined ? '' : (process.env[urlVariable] ?? '');
  if (url !== '' && need.own !== true) return { ok: true, why: `${urlVariable} is set` };
  if (find()) return { ok: true, why: 'found' };
  if (urlVariable === undefined) return { ok: false, why: missing };
  return {
    ok: false,
    why: need.own === true ? `${missing}; this suite stops its server` : `${missing}, or set ${urlVariable}`,
  };
}

/** `describe`, for a suite that needs these services. */
export function describeWith(
  services: Service | readonly Service[],
  name: string,
  body: () => void,
  need: Need = {},
): void {
  const absent = (typeof services === 'string' ? [services] : services)
    .map((service) => ({ service, ...available(service, need) }))
    .filter(({ ok }) => !ok);
  if (absent.length === 0) {
    describe(name, body);
    return;
  }
  const why = absent.map((each) => each.why).join('; ');
  const required = process.env['REQUIRE_SERVICES'] === '1' && absent.some(({ service }) => !excused(service));
  test.runIf(required)(`${name} (${why})`, () => expect.fail(`REQUIRE_SERVICES=1, but: ${why}`));
}

function excused(service: Service): boolean {
  return (process.env['SKIP_SERVICES'] ?? '').split(',').includes(service);
}
