export type { Ack, Client, ClientEvents, ClientOptions, NewMessage } from './api.ts';
export { SwitchboardError } from './api.ts';
export { createClient } from './client.ts';
export type { Phase } from './connection.ts';
export type { Clock, KeyValueStorage, Socket, SocketConstructor } from './host.ts';
export type { Inbox, InboxEntry, InboxOptions } from './inbox.ts';
export type { Entry } from './outbox.ts';
export type { ChatMessage, Rating, Receipt, SessionView, ViewEvent } from './session-view.ts';
