import { ChatError, errorBody, errorKinds, invalid, preferredLanguage } from '@switchboard/protocol';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { drain } from './drain.ts';

/** What a caller is told of whatever was thrown; what is nobody's business becomes the `cause` of an INTERNAL. */
export function asChatError(thrown: unknown): ChatError {
  if (thrown instanceof ChatError) return thrown;
  const { code, statusCode = 500 } = (thrown ?? {}) as Partial<FastifyError>;
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new ChatError('PAYLOAD_TOO_LARGE');
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return new ChatError('UNSUPPORTED_MEDIA_TYPE');
  // What else Fastify lays to the caller's charge is a body that broke off, or was longer than announced.
  if (statusCode >= 400 && statusCode < 500) return invalid('body', 'did not arrive whole', '未完整送达');
  return new ChatError('INTERNAL', { cause: thrown });
}

/** The last stop of every error: counts it, logs it if it is ours, and answers. */
export async function answerFailure(
  thrown: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  { log, metrics }: { log: Log; metrics: Metrics },
): Promise<FastifyReply> {
  const error = asChatError(thrown);
  const { status } = errorKinds[error.code];
  metrics.errors.inc({ code: error.code });
  if (status >= 500 && error.cause !== undefined) {
    log.error({ err: error.cause, requestId: request.id, route: routeOf(request) }, 'request failed');
  }
  if (status === 413) await drain(request.raw);
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  if (status === 429 || status === 503) {
    reply.header('retry-after', String(Math.max(1, Math.ceil((error.retryAfterMs ?? 0) / 1000))));
  }
  reply.header('x-request-id', request.id);
  const language = preferredLanguage(request.headers['accept-language']);
  return reply.status(status).send({ success: false, error: errorBody(error, language) });
}

/** A request's route as a template, so that neither ids nor tokens get into logs and metrics. */
export function routeOf(request: FastifyRequest): string {
  return request.routeOptions.url ?? 'unknown';
}
