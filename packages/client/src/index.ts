import type { ClientOptions } from './api.ts';
import { Client } from './client.ts';

/**
 * Makes a client of the chat; `connect()` connects it.
 * @throws when the address is none, or when there is no WebSocket here and none was passed
 */
export function createClient(options: ClientOptions): Client {
  return new Client(options);
}

export type { Ack, ClientEvents, ClientOptions, NewMessage } from './api.ts';
export { SwitchboardError } from './api.ts';
export type { Client } from './client.ts';
export type { Phase } from './connection.ts';
export type { Clock, KeyValueStorage, Socket, SocketConstructor } from './host.ts';
export type { Inbox, InboxEntry, InboxOptions } from './inbox.ts';
export type { Entry } from './outbox.ts';
export type { ChatMessage, Rating, Receipt, SessionView, ViewEvent } from './session-view.ts';
