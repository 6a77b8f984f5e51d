import { type Json, SchemaWriter } from './document-schemas.ts';
import type { Language } from './errors.ts';
import {
  type ClientFrameType,
  clientFrames,
  contractFrames,
  type ServerFrameType,
  serverFrames,
} from './frame-table.ts';
import { closeCodes } from './frames.ts';
import type { DocumentParts } from './openapi.ts';

type Text = Readonly<Record<Language, string>>;

const clientWords: Readonly<Record<ClientFrameType, Text & { readonly replies: readonly ServerFrameType[] }>> = {
  send_message: { en: 'Say something in a session', zh: '发送消息', replies: ['message_ack', 'error'] },
  hello: { en: 'Ask for all that is beyond the contract', zh: '启用扩展协议', replies: ['welcome', 'error'] },
  resume: {
    en: 'Follow sessions from these places on',
    zh: '从指定位置起跟随会话',
    replies: ['session_events', 'resumed', 'error'],
  },
  unfollow: { en: 'Follow sessions no longer', zh: '停止跟随会话', replies: ['error'] },
  inbox: {
    en: 'For admins: the open and the changed sessions',
    zh: '客服收件箱',
    replies: ['inbox_snapshot', 'error'],
  },
  ping: { en: 'Ask for the newest places', zh: '查询最新位置', replies: ['pong', 'error'] },
  receipt: { en: 'Say how far messages have come', zh: '送达与已读回执', replies: ['error'] },
  auth_refresh: { en: 'Stay with a new token', zh: '更换令牌', replies: ['auth_refreshed', 'error'] },
};

const serverWords: Readonly<Record<ServerFrameType, Text>> = {
  new_user_message: { en: 'A user has written, for admins', zh: '用户新消息（发给客服）' },
  new_admin_message: { en: 'An admin has replied', zh: '客服新回复' },
  session_status_changed: { en: "A session's status or assignee has changed", zh: '会话状态或负责客服变化' },
  message_ack: { en: 'The message is stored', zh: '消息已存储' },
  error: { en: 'A frame was refused; the connection stays', zh: '请求被拒绝，连接保持' },
  welcome: { en: 'The answer to hello', zh: 'hello 的应答' },
  session_event: { en: 'One event of a followed session', zh: '所跟随会话的一个事件' },
  session_events: { en: "A stretch of a session's log", zh: '会话日志的一段' },
  resumed: { en: 'Catching up is over', zh: '补齐完成' },
  inbox_snapshot: { en: 'Sessions, and how far each has got', zh: '会话清单与各自位置' },
  pong: { en: 'The newest place of each followed session', zh: '各会话最新位置' },
  heartbeat: { en: 'The same, by itself', zh: '定时告知各会话最新位置' },
  receipt_update: { en: 'The other side has received or read', zh: '对方送达或已读' },
  auth_expiring: { en: 'The token ends soon', zh: '令牌即将过期' },
  auth_refreshed: { en: 'The new token holds', zh: '令牌已更换' },
  draining: { en: 'The server is about to end: when to come back', zh: '服务器即将停止：何时重连' },
};

const about: Text = {
  en: 'The WebSocket of Switchboard: `/chat`, or `/api/chat`, which is the same. Only `send_message` and the frames tagged `contract` are for connections that never said `hello`.',
  zh: 'Switchboard 的 WebSocket：`/chat`（与 `/api/chat` 等价）。未发送 `hello` 的连接只使用 `send_message` 与带 `contract` 标签的帧。',
};
const closing: Text = { en: 'Close codes', zh: '关闭码' };

export interface AsyncParts extends DocumentParts {
  /** Names that a setting gives to frames. */
  readonly frameNames?: Readonly<Record<string, string>>;
}

/** The AsyncAPI 3.0 document of the WebSocket, from the schemas that check its frames. */
export function asyncApiDocument({ version, language, frameNames = {} }: AsyncParts): Json {
  const schemas = new SchemaWriter();
  const all = [
    ...Object.entries(clientFrames).map(([type, schema]) => ({ type, schema, action: 'receive' })),
    ...Object.entries(serverFrames).map(([type, schema]) => ({ type, schema, action: 'send' })),
  ];
  const messages: Record<string, Json> = {};
  const operations: Record<string, Json> = {};
  for (const { type, schema, action } of all) {
    const words: Text & { readonly replies?: readonly string[] } =
      action === 'receive' ? clientWords[type as ClientFrameType] : serverWords[type as ServerFrameType];
    const name = frameNames[type] ?? type;
    const contract = type === 'send_message' || type in contractFrames;
    messages[type] = {
      name,
      title: name,
      summary: words[language],
      tags: [{ name: contract ? 'contract' : 'hello' }],
      payload: renamed(schemas.write(schema), name),
    };
    operations[type] = {
      action,
      channel: { $ref: '#/channels/chat' },
      summary: words[language],
      messages: [inChannel(type)],
      ...(words.replies
        ? { reply: { channel: { $ref: '#/channels/chat' }, messages: words.replies.map(inChannel) } }
        : {}),
    };
  }
  const codes = Object.values(closeCodes).map(({ code, reason }) => `- ${code}: ${reason}`);
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Switchboard WebSocket',
      version,
      description: `${about[language]}\n\n${closing[language]}:\n\n${codes.join('\n')}`,
      license: { name: 'MIT' },
    },
    defaultContentType: 'application/json',
    servers: {
      chat: {
        host: '{host}',
        protocol: 'ws',
        variables: { host: { default: '127.0.0.1:8787' } },
        security: [{ $ref: '#/components/securitySchemes/token' }, { $ref: '#/components/securitySchemes/bearer' }],
      },
    },
    channels: {
      chat: {
        address: '/chat',
        messages: Object.fromEntries(all.map(({ type }) => [type, { $ref: `#/components/messages/${type}` }])),
        bindings: {
          ws: {
            method: 'GET',
            query: {
              type: 'object',
              properties: { token: { type: 'string' }, type: { type: 'string', enum: ['user', 'admin'] } },
            },
          },
        },
      },
    },
    operations,
    components: {
      messages,
      schemas: schemas.used,
      securitySchemes: {
        token: { type: 'httpApiKey', in: 'query', name: 'token' },
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      },
    },
  };
}

function inChannel(type: string): Json {
  return { $ref: `#/channels/chat/messages/${type}` };
}

function renamed(schema: Json, name: string): Json {
  const { properties = {} } = schema as { properties?: Record<string, Json> };
  return { ...schema, properties: { ...properties, type: { ...properties['type'], const: name } } };
}
