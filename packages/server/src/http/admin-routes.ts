import {
  AssigneeBody,
  ChatError,
  ListSessionsQuery,
  MessageList,
  MessagesQuery,
  OperationLogList,
  OperationLogsQuery,
  preferredLanguage,
  SendMessageBody,
  SentMessage,
  SessionList,
  SessionParams,
  SessionResult,
  StatsResult,
} from '@switchboard/protocol';
import type { FastifyInstance } from 'fastify';
import type { Chat } from '../domain/chat.ts';
import { durationText } from '../domain/statistics.ts';
import { iso } from '../domain/views.ts';
import { type Admission, callerOf } from './admission.ts';
import { answers, success } from './answers.ts';
import { asChatError } from './failure.ts';
import { clientMessageIdOf } from './idempotency-key.ts';
import type { Refusals } from './refusals.ts';
import type { BySchema } from './validation.ts';

export interface AdminRoutesParts {
  readonly chat: Chat;
  readonly admission: Admission;
  readonly refusals: Refusals;
}

/** What admins can do by REST. Unknown addresses below the prefix are for admins too, so that they tell nobody else. */
export async function adminRoutes(
  plain: FastifyInstance,
  { chat, admission, refusals }: AdminRoutesParts,
): Promise<void> {
  const server = plain.withTypeProvider<BySchema>();
  server.addHook('onRequest', (request) => admission.admit(request, 'admin'));
  server.setErrorHandler(async (thrown, request) => {
    const error = asChatError(thrown);
    await refusals.record(request, error);
    throw error;
  });
  const notFound = (): never => {
    throw new ChatError('NOT_FOUND');
  };
  server.setNotFoundHandler(notFound);
  // CORS has a route of its own for all OPTIONS, which is not ours to guard.
  for (const url of ['', '/*']) server.options(url, notFound);

  server.get(
    '/sessions',
    { schema: { querystring: ListSessionsQuery, response: answers(SessionList) }, config: { action: 'session.list' } },
    async (request) => success(await chat.sessions(callerOf(request, 'admin'), request.query)),
  );

  server.get(
    '/sessions/:sessionId',
    { schema: { params: SessionParams, response: answers(SessionResult) }, config: { action: 'session.read' } },
    async (request) => {
      return success({ session: await chat.session(callerOf(request, 'admin'), request.params.sessionId) });
    },
  );

  server.get(
    '/sessions/:sessionId/messages',
    {
      schema: { params: SessionParams, querystring: MessagesQuery, response: answers(MessageList) },
      config: { action: 'message.list' },
    },
    async (request) => {
      return success(await chat.messages(callerOf(request, 'admin'), request.params.sessionId, request.query));
    },
  );

  server.post(
    '/sessions/:sessionId/messages',
    {
      schema: { params: SessionParams, body: SendMessageBody, response: answers(SentMessage) },
      config: { action: 'message.send' },
    },
    async (request) => {
      const caller = callerOf(request, 'admin');
      const { content, messageType = 'text', attachments = [], adminId, clientMessageId } = request.body;
      if (adminId !== undefined && adminId !== caller.actor.id) {
        const fault = { en: "must be the token's own account", zh: '必须与令牌所属账号一致' };
        throw new ChatError('FORBIDDEN', { fault: { field: 'adminId', fault } });
      }
      const { message, duplicate } = await chat.sendAndWait(caller, {
        sessionId: request.params.sessionId,
        content,
        messageType,
        attachments,
        clientMessageId: clientMessageIdOf(request.headers['idempotency-key'], clientMessageId),
      });
      if (!message) throw new Error('a message was sent and none came back');
      const { messageId, createdAt, seq } = message;
      return success({
        messageId,
        status: 'sent' as const,
        timestamp: iso(createdAt),
        seq,
        ...(duplicate ? { duplicate } : {}),
      });
    },
  );

  for (const change of ['claim', 'close', 'reopen'] as const) {
    server.post(
      `/sessions/:sessionId/${change}`,
      { schema: { params: SessionParams, response: answers(SessionResult) }, config: { action: `session.${change}` } },
      async (request) => {
        return success({ session: await chat[change](callerOf(request, 'admin'), request.params.sessionId) });
      },
    );
  }

  for (const change of ['assign', 'transfer'] as const) {
    server.post(
      `/sessions/:sessionId/${change}`,
      {
        schema: { params: SessionParams, body: AssigneeBody, response: answers(SessionResult) },
        config: { action: `session.${change}` },
      },
      async (request) => {
        const { params, body } = request;
        return success({ session: await chat[change](callerOf(request, 'admin'), params.sessionId, body.adminId) });
      },
    );
  }

  server.get(
    '/stats/today',
    { schema: { response: answers(StatsResult) }, config: { action: 'stats.today' } },
    async (request) => {
      const { totalSessions, completedSessions, ...figures } = await chat.todayStats(callerOf(request, 'admin'));
      const language = preferredLanguage(request.headers['accept-language']);
      const avgResponseTime = durationText(figures.avgResponseSeconds, language);
      const { customerSatisfaction, ...more } = figures;
      // The first four in the order of the requirements document.
      return success({ stats: { totalSessions, completedSessions, avgResponseTime, customerSatisfaction, ...more } });
    },
  );

  server.get(
    '/operation-logs',
    {
      schema: { querystring: OperationLogsQuery, response: answers(OperationLogList) },
      config: { action: 'operation.list' },
    },
    async (request) => {
      const { page = 1, pageSize = 20 } = request.query;
      return success(await chat.operations(callerOf(request, 'admin'), page, pageSize));
    },
  );
}
