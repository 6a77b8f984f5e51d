import type { Language } from '@switchboard/protocol';
import { systemClock } from '../clock.ts';
import { type Config, environment, readConfig } from '../config.ts';
import { ConfigError } from '../config-source.ts';
import { checkDatabase } from './check-database.ts';
import { checkUrl } from './check-url.ts';
import { bad, type Finding, good, languageOf, note, report, reasonOf } from './finding.ts';
import { fail } from './verb.ts';

/** Looks at everything that a server rests on, and says what to do about what it finds. */
export async function doctor(url: string | undefined): Promise<number> {
  const address = url === undefined ? undefined : addressIn(url);
  if (address === null)
    return fail('--url must be an http or https address. Example: --url https://chat.example.com', 2);
  let language: Language = 'en';
  let wrong = 0;
  const say = (en: string, zh: string, findings: readonly Finding[]): void => {
    wrong += findings.filter((finding) => finding.verdict === 'bad').length;
    process.stdout.write(report({ en, zh }, findings, language));
  };
  let config: Config | undefined;
  let findings: Finding[];
  try {
    const env = environment();
    language = languageOf(env);
    config = readConfig(env);
    findings = [...checkNode(), ...(await checkSettings(config))];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    findings = [
      bad(
        { en: error.message, zh: error.message },
        { en: 'Mend the setting; .env.example lists them all', zh: '请修正该设置；.env.example 列出了全部设置' },
      ),
    ];
  }
  say('Settings', '设置', findings);
  if (config) {
    say('Database', '数据库', await checkDatabase(config.database, systemClock));
    // Each driver is loaded only when it is its turn.
    const { checkRedis } = await import('./check-redis.ts');
    say('Redis', 'Redis', await checkRedis(config.redisUrl));
  }
  if (address) say('From outside', '外部访问', await checkUrl(address));
  const verdicts: Record<Language, string> =
    wrong === 0
      ? { en: 'All is well.', zh: '一切正常。' }
      : { en: `${wrong} to be mended.`, zh: `${wrong} 项需要处理。` };
  process.stdout.write(`${verdicts[language]}\n`);
  return wrong === 0 ? 0 : 1;
}

function addressIn(text: string): URL | null {
  try {
    const url = new URL(text);
    return /^https?:$/.test(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

function checkNode(): Finding[] {
  const { version } = process;
  if (Number(version.slice(1).split('.')[0]) >= 22) return [good(`Node.js ${version}`, `Node.js ${version}`)];
  return [
    note(
      { en: `Node.js ${version}`, zh: `Node.js ${version}` },
      { en: 'It works; 24 is recommended', zh: '可以使用；推荐 24' },
    ),
  ];
}

async function checkSettings({ demo, jwt, host, port, allowedOrigins }: Config): Promise<Finding[]> {
  const findings: Finding[] = [
    good(`they can be read; the server will listen on ${host}:${port}`, `设置有效，将监听 ${host}:${port}`),
  ];
  if (demo) {
    findings.push(
      note(
        { en: 'no key is set: demo mode, on this machine only', zh: '未设置密钥：演示模式，仅限本机' },
        {
          en: 'Set JWT_SECRET, JWT_PUBLIC_KEY or JWKS_URL for anything else',
          zh: '正式使用请设置 JWT_SECRET、JWT_PUBLIC_KEY 或 JWKS_URL',
        },
      ),
    );
  }
  if (allowedOrigins?.includes('*')) {
    findings.push(
      note(
        { en: 'ALLOWED_ORIGINS lets pages of every origin connect', zh: 'ALLOWED_ORIGINS 允许所有来源的页面连接' },
        {
          en: 'Name your own origins, unless the widget is for everybody',
          zh: '除非面向所有网站，否则请只列出自己的来源',
        },
      ),
    );
  }
  if (jwt.key.kind === 'jwks') findings.push(await checkKeySet(jwt.key.url));
  return findings;
}

async function checkKeySet(url: string): Promise<Finding> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
    const { keys } = (await response.json()) as { keys: unknown[] };
    if (response.ok && keys.length > 0)
      return good(`JWKS_URL has ${keys.length} keys`, `JWKS_URL 提供 ${keys.length} 个密钥`);
    throw new Error(`status ${response.status}`);
  } catch (error) {
    const reason = reasonOf((error as Error).cause ?? error);
    return bad(
      { en: `JWKS_URL gives no keys (${reason})`, zh: `JWKS_URL 未返回密钥（${reason}）` },
      { en: 'Until it does, every token is answered with 503', zh: '在此之前所有令牌都会得到 503' },
    );
  }
}
