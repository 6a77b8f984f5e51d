import { createClient } from '@redis/client';
import { bad, type Finding, good, note, reasonOf } from './finding.ts';

const WITHIN_MS = 3_000;

/** Looks whether hints can go between nodes. */
export async function checkRedis(url: string | null): Promise<Finding[]> {
  if (url === null) {
    return [
      note(
        { en: 'no REDIS_URL: this is the only node', zh: '未设置 REDIS_URL：单节点运行' },
        {
          en: 'Two servers on one database without it is a mistake',
          zh: '多个服务共用同一数据库而不设置 REDIS_URL 是错误的',
        },
      ),
    ];
  }
  const client = createClient({
    url,
    disableOfflineQueue: true,
    socket: { connectTimeout: WITHIN_MS, reconnectStrategy: false },
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const began = performance.now();
    await client.ping();
    const ms = (performance.now() - began).toFixed(1);
    const version = /^(?:redis|valkey)_version:(\S+)/m.exec(await client.info('server'))?.[1] ?? '?';
    return [good(`Redis ${version} answers in ${ms} ms`, `Redis ${version}，响应时间 ${ms} 毫秒`)];
  } catch (error) {
    return [
      bad(
        { en: `Redis cannot be used (${reasonOf(error)})`, zh: `无法使用 Redis（${reasonOf(error)}）` },
        {
          en: 'Nothing is lost without it, but what other nodes do is noticed only seconds later. REDIS_URL: is it running, is the password right?',
          zh: '没有 Redis 不会丢失消息，但节点间的更新会延迟数秒。REDIS_URL：请确认其已启动且密码正确',
        },
      ),
    ];
  } finally {
    if (client.isOpen) client.destroy();
  }
}
