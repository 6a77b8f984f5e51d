import type Type from 'typebox';
import {
  ErrorFrame,
  MessageAckFrame,
  NewAdminMessageFrame,
  NewUserMessageFrame,
  SendMessageFrame,
  SessionStatusChangedFrame,
} from './frames.ts';
import {
  AuthExpiringFrame,
  AuthRefreshedFrame,
  AuthRefreshFrame,
  DrainingFrame,
  HeartbeatFrame,
  HelloFrame,
  InboxFrame,
  InboxSnapshotFrame,
  PingFrame,
  PongFrame,
  ReceiptFrame,
  ReceiptUpdateFrame,
  ResumedFrame,
  ResumeFrame,
  SessionEventFrame,
  SessionEventsFrame,
  UnfollowFrame,
  WelcomeFrame,
} from './hello-frames.ts';

/** Every frame that a client may send, by its type. */
export const clientFrames = {
  send_message: SendMessageFrame,
  hello: HelloFrame,
  resume: ResumeFrame,
  unfollow: UnfollowFrame,
  inbox: InboxFrame,
  ping: PingFrame,
  receipt: ReceiptFrame,
  auth_refresh: AuthRefreshFrame,
} as const;
export type ClientFrameType = keyof typeof clientFrames;
export type ClientFrame = { [T in ClientFrameType]: Type.Static<(typeof clientFrames)[T]> }[ClientFrameType];

/** The frames that every connection may get; one that never said `hello` gets these and no others. */
export const contractFrames = {
  new_user_message: NewUserMessageFrame,
  new_admin_message: NewAdminMessageFrame,
  session_status_changed: SessionStatusChangedFrame,
  message_ack: MessageAckFrame,
  error: ErrorFrame,
} as const;

/** Every frame that the server may send, by its type. */
export const serverFrames = {
  ...contractFrames,
  welcome: WelcomeFrame,
  session_event: SessionEventFrame,
  session_events: SessionEventsFrame,
  resumed: ResumedFrame,
  inbox_snapshot: InboxSnapshotFrame,
  pong: PongFrame,
  heartbeat: HeartbeatFrame,
  receipt_update: ReceiptUpdateFrame,
  auth_expiring: AuthExpiringFrame,
  auth_refreshed: AuthRefreshedFrame,
  draining: DrainingFrame,
} as const;
export type ServerFrameType = keyof typeof serverFrames;
export type ServerFrame = { [T in ServerFrameType]: Type.Static<(typeof serverFrames)[T]> }[ServerFrameType];
