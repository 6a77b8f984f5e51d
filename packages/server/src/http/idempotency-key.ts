import { CLIENT_MESSAGE_ID_PATTERN, invalid } from '@switchboard/protocol';

const pattern = new RegExp(CLIENT_MESSAGE_ID_PATTERN);

/**
 * The sender's own id of a message: the `Idempotency-Key` header, with or without the quotes that its draft standard
 * asks for, or `clientMessageId` of the body.
 * @throws ChatError INVALID_PARAMETER when the header is no such id, or says another than the body
 */
export function clientMessageIdOf(header: string | string[] | undefined, inBody: string | undefined): string | null {
  if (header === undefined) return inBody ?? null;
  const text = String(header);
  const key = /^"(.*)"$/.exec(text)?.[1] ?? text;
  if (!pattern.test(key)) {
    throw invalid(
      'Idempotency-Key',
      `must match ${CLIENT_MESSAGE_ID_PATTERN}`,
      `必须符合 ${CLIENT_MESSAGE_ID_PATTERN}`,
    );
  }
  if (inBody !== undefined && inBody !== key) {
    throw invalid('Idempotency-Key', 'differs from clientMessageId', '与 clientMessageId 不一致');
  }
  return key;
}
