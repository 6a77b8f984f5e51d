import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import { bad, type Finding, good, reasonOf } from './finding.ts';

const WITHIN_MS = 8_000;

interface Answer {
  readonly status: number;
  readonly text: string;
}

/**
 * Looks at a server from outside, by the address that browsers use: whether the way there lets REST and WebSockets
 * through. It shows a token that is none, and goes by who refuses it.
 */
export async function checkUrl(address: URL): Promise<Finding[]> {
  const base = address.href.replace(/\/$/, '');
  const rest = await checkRest(base);
  return rest.verdict === 'bad' ? [rest] : [rest, await checkUpgrade(base)];
}

async function checkRest(base: string): Promise<Finding> {
  const url = `${base}/api/admin/chat/sessions`;
  let answer: Answer & { readonly location: string | null };
  try {
    const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(WITHIN_MS) });
    answer = { status: response.status, text: await response.text(), location: response.headers.get('location') };
  } catch (error) {
    const reason = reasonOf((error as Error).cause ?? error);
    return bad(
      { en: `${base} cannot be reached (${reason})`, zh: `无法访问 ${base}（${reason}）` },
      {
        en: 'Is the server running? Does the name lead to the proxy? Is the certificate good?',
        zh: '请确认服务已启动、域名指向代理、证书有效',
      },
    );
  }
  if (isOurs(answer, 401)) return good(`REST answers at ${base}`, `${base} 的 REST 接口可用`);
  if (answer.location !== null) {
    return bad(
      { en: `${url} leads on to ${answer.location}`, zh: `${url} 被重定向到 ${answer.location}` },
      {
        en: 'Give --url and your front ends the address that it leads to',
        zh: '请在 --url 和前端中使用重定向后的地址',
      },
    );
  }
  return bad(
    {
      en: `${url} is answered with ${answer.status} by something else than Switchboard`,
      zh: `${url} 返回 ${answer.status}，应答者不是 Switchboard`,
    },
    {
      en: 'Let the proxy pass /api/admin/chat, /admin/chat, /api/chat and /chat on',
      zh: '请让代理转发 /api/admin/chat、/admin/chat、/api/chat 和 /chat',
    },
  );
}

async function checkUpgrade(base: string): Promise<Finding> {
  const url = `${base.replace(/^http/, 'ws')}/chat?token=doctor`;
  let answer: Answer;
  try {
    answer = await refusalOf(url);
  } catch (error) {
    const reason = reasonOf(error);
    return bad(
      { en: `a WebSocket to ${base}/chat breaks off (${reason})`, zh: `${base}/chat 的 WebSocket 中断（${reason}）` },
      proxyAdvice,
    );
  }
  // The gateway looks at the token; a request that lost its Upgrade header never gets to it.
  if (isOurs(answer, 401)) return good('WebSocket upgrades get through', 'WebSocket 升级请求可以通过');
  return bad(
    {
      en: `the WebSocket upgrade does not get through (answered with ${answer.status})`,
      zh: `WebSocket 升级请求未能通过（返回 ${answer.status}）`,
    },
    proxyAdvice,
  );
}

const proxyAdvice = {
  en: 'nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; proxy_read_timeout 60s; (see deploy/nginx.conf)',
  zh: 'nginx：proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade"; proxy_read_timeout 60s;（见 deploy/nginx.conf）',
};

function isOurs({ status, text }: Answer, wanted: number): boolean {
  return status === wanted && text.includes('"code":"UNAUTHORIZED"');
}

/** What a WebSocket handshake is refused with. */
function refusalOf(url: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { handshakeTimeout: WITHIN_MS });
    socket.on('error', reject);
    socket.on('open', () => {
      resolve({ status: 101, text: '' });
      socket.terminate();
    });
    socket.on('unexpected-response', (_request, response: IncomingMessage) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        if (text.length < 10_000) text += part;
      });
      response.on('error', reject);
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, text });
        socket.terminate();
      });
    });
  });
}
