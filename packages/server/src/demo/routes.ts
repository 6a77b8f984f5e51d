import { readFileSync } from 'node:fs';
import { ChatError, preferredLanguage } from '@switchboard/protocol';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { plainAddress } from '../address.ts';
import { mintToken } from '../auth.ts';
import type { Config } from '../config.ts';
import type { Clock } from '../domain/ports.ts';
import { packageRoot } from '../package-root.ts';

const FILES = [
  ['/', 'index.html', 'text/html'],
  ['/demo.css', 'demo.css', 'text/css'],
  ['/demo.js', 'demo.js', 'text/javascript'],
  ['/demo-side.js', 'demo-side.js', 'text/javascript'],
  ['/demo-words.js', 'demo-words.js', 'text/javascript'],
] as const;
const DAY_SECONDS = 86_400;
const CUSTOMERS = [
  { userId: 31, zh: '小明', en: 'Ming' },
  { userId: 32, zh: '小红', en: 'Rosa' },
  { userId: 33, zh: '阿杰', en: 'Jack' },
];
const ADMIN = { userId: 7, zh: '安娜', en: 'Anna' };
/** What a proxy adds. Behind one, a caller who looks like this machine may be anybody. */
const FORWARDED = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'];

/** The page that a demo shows at `/`, with a customer and an admin side by side, and their tokens. */
export function demoRoutes({ jwt, frameNames }: Config, clock: Clock): (server: FastifyInstance) => Promise<void> {
  return async (server) => {
    for (const [url, file, type] of FILES) {
      const content = readFileSync(new URL(`demo/${file}`, packageRoot));
      server.get(url, async (request, reply) => {
        reply.header('content-security-policy', policy(request));
        return reply.type(`${type}; charset=utf-8`).send(content);
      });
    }

    server.get('/demo/tokens', async (request) => {
      if (!isFromOurPage(request)) throw new ChatError('FORBIDDEN');
      const language = preferredLanguage(request.headers['accept-language']);
      const account = async (
        role: 'user' | 'admin',
        { userId, [language]: nickname }: typeof ADMIN,
      ): Promise<object> => {
        const claims = { userId, roles: [role], nickname, expiresInSeconds: DAY_SECONDS };
        return { userId, nickname, token: await mintToken(jwt, claims, clock) };
      };
      const customers = await Promise.all(CUSTOMERS.map((customer) => account('user', customer)));
      return { success: true, data: { customers, admin: await account('admin', ADMIN), frames: frameNames } };
    });
  };
}

/** Only what the page itself has, and nothing inline. `'self'` means WebSockets too, but not in every browser. */
function policy({ headers: { host } }: FastifyRequest): string {
  const socket = isLoopbackHost(host) ? ` ws://${host}` : '';
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    'img-src data:',
    `connect-src 'self'${socket}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/**
 * Whether a request comes from this machine and from the demo page, not from a page of somebody else that reaches us
 * through the user's browser: neither across origins nor under a name that was made to lead here (DNS rebinding).
 */
function isFromOurPage({ raw, headers }: FastifyRequest): boolean {
  const { host, origin, 'sec-fetch-site': site } = headers;
  const address = plainAddress(raw.socket.remoteAddress);
  if (address !== '::1' && !address.startsWith('127.')) return false;
  if (!isLoopbackHost(host) || FORWARDED.some((name) => headers[name] !== undefined)) return false;
  return (site === undefined || site === 'same-origin') && (origin === undefined || origin === `http://${host}`);
}

function isLoopbackHost(host: string | undefined): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i.test(host ?? '');
}
