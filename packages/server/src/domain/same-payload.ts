/** What of a message makes a repeat the same message. */
interface Payload {
  readonly content: string;
  readonly messageType: string;
  readonly attachments: readonly unknown[];
}

/** Whether a message that came under a known `clientMessageId` is a repeat of the first, or another one. */
export function samePayload(first: Payload, repeat: Payload): boolean {
  return (
    first.content === repeat.content &&
    first.messageType === repeat.messageType &&
    canonical(first.attachments) === canonical(repeat.attachments)
  );
}

/** JSON with sorted keys: MySQL's JSON columns do not keep the order of keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
