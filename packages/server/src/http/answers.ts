import { Failure, success as successOf } from '@switchboard/protocol';
import type Type from 'typebox';

/** A successful answer around its data. */
export function success<T>(data: T): { success: true; data: T } {
  return { success: true, data };
}

/** What a route answers, for its schema: its data, or why not. */
export function answers<T extends Type.TSchema>(
  data: T,
): { 200: ReturnType<typeof successOf<T>>; default: typeof Failure } {
  return { 200: successOf(data), default: Failure };
}
