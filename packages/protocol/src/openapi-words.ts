import Type, { type TSchema } from 'typebox';
import type { ErrorCode, Language } from './errors.ts';

/** What a reader is told of one operation, and what its schemas do not say. */
export interface OperationWords {
  /** Unique; those below the short prefix get `Short` added. */
  readonly id: string;
  readonly text: Readonly<Record<Language, string>>;
  readonly more?: Readonly<Record<Language, string>>;
  /** Errors of its own, besides those that follow from who may call it and what it takes. */
  readonly errors?: readonly ErrorCode[];
  /** For routes whose answer is no JSON, or has no schema where the route is made. */
  readonly answer?: { readonly media: string; readonly schema: TSchema } | null;
  readonly idempotent?: true;
}

const json = (schema: TSchema): { media: string; schema: TSchema } => ({ media: 'application/json', schema });
const ok = json(Type.Object({ status: Type.Literal('ok') }));
const anyObject = json(Type.Record(Type.String(), Type.Unknown()));

/** By side, method and path below the side's prefix. The document cannot be made for a route that is not here. */
export const operationWords: Readonly<Record<string, OperationWords>> = {
  'admin GET /sessions': {
    id: 'listSessions',
    text: { en: 'List sessions', zh: '会话列表' },
    more: {
      en: 'Newest message first. `pending` is another word for `waiting`. `cursor` goes on where the answer before ended, however far down, and cannot be combined with `page`.',
      zh: '按最新消息时间倒序。`pending` 等同于 `waiting`。`cursor` 从上一次结果的末尾继续，翻到多深都同样快，不能与 `page` 同时使用。',
    },
  },
  'admin GET /sessions/{sessionId}': { id: 'getSession', text: { en: 'One session', zh: '会话详情' } },
  'admin GET /sessions/{sessionId}/messages': {
    id: 'listMessages',
    text: { en: 'Messages of a session', zh: '会话消息' },
    more: {
      en: 'Page 1 is the newest; inside a page, oldest first. `beforeSeq` and `afterSeq` cannot be combined.',
      zh: '第 1 页为最新消息，页内按时间升序。`beforeSeq` 与 `afterSeq` 不能同时使用。',
    },
  },
  'admin POST /sessions/{sessionId}/messages': {
    id: 'sendMessage',
    text: { en: 'Reply to a session', zh: '回复会话' },
    more: {
      en: 'Answered when the message is stored. Content has 1–10,000 characters after trimming.',
      zh: '消息落库后才返回。内容去除首尾空白后为 1–10,000 个字符。',
    },
    errors: ['CONFLICT'],
    idempotent: true,
  },
  'admin POST /sessions/{sessionId}/claim': {
    id: 'claimSession',
    text: { en: 'Claim a waiting session', zh: '接入等待中的会话' },
    errors: ['CONFLICT'],
  },
  'admin POST /sessions/{sessionId}/close': {
    id: 'closeSession',
    text: { en: 'Close a session', zh: '结束会话' },
    errors: ['CONFLICT'],
  },
  'admin POST /sessions/{sessionId}/reopen': {
    id: 'reopenSession',
    text: { en: 'Reopen a closed session', zh: '重新打开会话' },
    errors: ['CONFLICT'],
  },
  'admin POST /sessions/{sessionId}/assign': {
    id: 'assignSession',
    text: { en: 'Assign a waiting session to an admin', zh: '分配等待中的会话' },
    errors: ['CONFLICT'],
  },
  'admin POST /sessions/{sessionId}/transfer': {
    id: 'transferSession',
    text: { en: 'Transfer an active session to another admin', zh: '转接进行中的会话' },
    errors: ['CONFLICT'],
  },
  'admin GET /stats/today': { id: 'todayStats', text: { en: 'Figures of today', zh: '今日统计' } },
  'admin GET /operation-logs': { id: 'listOperationLogs', text: { en: 'Operation log', zh: '操作日志' } },
  'user GET /sessions/current': {
    id: 'currentSession',
    text: { en: "The user's open session, or null", zh: '当前会话（没有则为 null）' },
  },
  'user GET /sessions/{sessionId}/messages': {
    id: 'listOwnMessages',
    text: { en: 'Messages of an own session', zh: '自己会话的消息' },
    more: {
      en: 'Page 1 is the newest; inside a page, oldest first. `beforeSeq` and `afterSeq` cannot be combined.',
      zh: '第 1 页为最新消息，页内按时间升序。`beforeSeq` 与 `afterSeq` 不能同时使用。',
    },
  },
  'user POST /sessions/{sessionId}/rating': {
    id: 'rateSession',
    text: { en: 'Rate an own session', zh: '评价会话' },
    errors: ['CONFLICT'],
  },
  'user POST /sessions/{sessionId}/close': {
    id: 'closeOwnSession',
    text: { en: 'Close an own session', zh: '结束自己的会话' },
    errors: ['CONFLICT'],
  },
  'ops GET /healthz': { id: 'health', text: { en: 'The process lives', zh: '存活检查' }, answer: ok },
  'ops GET /readyz': {
    id: 'ready',
    text: { en: 'The store can be reached', zh: '就绪检查' },
    answer: ok,
    errors: ['UNAVAILABLE'],
  },
  'ops GET /metrics': {
    id: 'metrics',
    text: { en: 'Figures for Prometheus', zh: 'Prometheus 指标' },
    answer: { media: 'text/plain', schema: Type.String() },
  },
  'open GET /chat': {
    id: 'chat',
    text: { en: 'The address of the WebSocket', zh: 'WebSocket 地址' },
    more: {
      en: 'Without an upgrade it is refused. What is spoken there: /asyncapi.json.',
      zh: '非升级请求会被拒绝。协议见 /asyncapi.json。',
    },
    errors: ['INVALID_PARAMETER'],
    answer: null,
  },
  'open GET /openapi.json': { id: 'openapi', text: { en: 'This document', zh: '本文档' }, answer: anyObject },
  'open GET /asyncapi.json': {
    id: 'asyncapi',
    text: { en: 'The document of the WebSocket', zh: 'WebSocket 文档' },
    answer: anyObject,
  },
};
