import Type from 'typebox';
import { FrameMessage } from './frames.ts';
import { Seq, SessionStatus, Time } from './entities.ts';

/** The events of a session's log as clients read them: live, when they catch up, and by REST. */

const Actor = Type.Object({
  type: Type.Union([Type.Literal('user'), Type.Literal('admin'), Type.Literal('system')]),
  id: Type.Integer(),
});

export const LogMessage = Type.Object({ kind: Type.Literal('message'), seq: Seq, at: Time, message: FrameMessage });
export const LogStatus = Type.Object({
  kind: Type.Literal('status'),
  seq: Seq,
  at: Time,
  by: Actor,
  reason: Type.String({ description: 'assigned, claimed, transferred, admin_offline, closed or reopened' }),
  status: SessionStatus,
  adminId: Type.Union([Type.Integer(), Type.Null()]),
});
export const LogRating = Type.Object({
  kind: Type.Literal('rating'),
  seq: Seq,
  at: Time,
  by: Actor,
  score: Type.Integer(),
  comment: Type.String(),
});

export const LogEvent = Type.Union([LogMessage, LogStatus, LogRating]);
export type LogEvent = Type.Static<typeof LogEvent>;
