import { invalid } from './errors.ts';
import { checker, parseJson } from './faults.ts';
import { type ClientFrame, clientFrames } from './frame-table.ts';

const checks = new Map(Object.entries(clientFrames).map(([type, schema]) => [type, checker(schema)]));

/** What of a refused frame could still be read: lets the error name the frame that it answers. */
export interface FrameMarks {
  requestId?: string | number;
  clientMessageId?: string;
  sessionId?: string;
}

/**
 * Reads one frame of a client: text → a typed frame. The type is looked at first, then that one schema.
 * The texts of a message are not looked at here: that is a rule of the chat, whichever way the message comes in.
 * @throws ChatError INVALID_PARAMETER that names the field and the fault
 */
export function decodeFrame(text: string, marks: FrameMarks = {}): ClientFrame {
  const value = parseJson(text, 'frame', (parsed) => readMarks(parsed, marks));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid('frame', 'must be a JSON object {"type":…,"data":{…}}', '必须是 JSON 对象 {"type":…,"data":{…}}');
  }
  const type = (value as { type?: unknown }).type;
  const check = typeof type === 'string' ? checks.get(type) : undefined;
  if (!check) {
    const known = [...checks.keys()].join(', ');
    throw invalid('type', `must be one of: ${known}`, `必须是其中之一：${known}`);
  }
  check(value);
  return value as ClientFrame;
}

/** The marks of a frame that is not looked at any further. */
export function marksIn(text: string): FrameMarks {
  const marks: FrameMarks = {};
  try {
    parseJson(text, 'frame', (parsed) => readMarks(parsed, marks));
  } catch {
    // Whatever is wrong with it: it is refused anyway.
  }
  return marks;
}

function readMarks(value: unknown, marks: FrameMarks): void {
  const short = (x: unknown): x is string => typeof x === 'string' && x.length <= 100 && x.isWellFormed();
  if (typeof value !== 'object' || value === null) return;
  const { requestId, data } = value as Record<string, unknown>;
  const mark = short(requestId) && requestId !== '' && Array.from(requestId).length <= 64;
  if (mark || Number.isSafeInteger(requestId)) marks.requestId = requestId as string | number;
  if (typeof data !== 'object' || data === null) return;
  const { clientMessageId, sessionId } = data as Record<string, unknown>;
  if (short(clientMessageId)) marks.clientMessageId = clientMessageId;
  if (short(sessionId)) marks.sessionId = sessionId;
}
