import {
  CurrentSession,
  MessageList,
  MessagesQuery,
  RatingBody,
  SessionParams,
  SessionResult,
} from '@switchboard/protocol';
import type { FastifyInstance } from 'fastify';
import type { Chat } from '../domain/chat.ts';
import { type Admission, callerOf } from './admission.ts';
import { answers, success } from './answers.ts';
import type { BySchema } from './validation.ts';

export interface UserRoutesParts {
  readonly chat: Chat;
  readonly admission: Admission;
}

/** What users can do by REST: look at their own sessions, rate and close them. */
export async function userRoutes(plain: FastifyInstance, { chat, admission }: UserRoutesParts): Promise<void> {
  const server = plain.withTypeProvider<BySchema>();
  server.addHook('onRequest', (request) => admission.admit(request, 'user'));

  server.get('/sessions/current', { schema: { response: answers(CurrentSession) } }, async (request) => {
    return success({ session: await chat.currentSession(callerOf(request, 'user')) });
  });

  server.get(
    '/sessions/:sessionId/messages',
    { schema: { params: SessionParams, querystring: MessagesQuery, response: answers(MessageList) } },
    async (request) => {
      return success(await chat.messages(callerOf(request, 'user'), request.params.sessionId, request.query));
    },
  );

  server.post(
    '/sessions/:sessionId/rating',
    { schema: { params: SessionParams, body: RatingBody, response: answers(SessionResult) } },
    async (request) => {
      const { score, comment = '' } = request.body;
      const session = await chat.rate(callerOf(request, 'user'), request.params.sessionId, score, comment);
      return success({ session });
    },
  );

  server.post(
    '/sessions/:sessionId/close',
    { schema: { params: SessionParams, response: answers(SessionResult) } },
    async (request) => {
      return success({ session: await chat.close(callerOf(request, 'user'), request.params.sessionId) });
    },
  );
}
