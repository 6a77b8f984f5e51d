import type { Generated } from 'kysely';

/** The tables as typed queries see them, the same in every store. Times are texts, see `toTime`. */
export interface Tables {
  chat_sessions: SessionsTable;
  chat_messages: MessagesTable;
  chat_events: EventsTable;
  chat_admins: AdminsTable;
  chat_admin_leases: LeasesTable;
  chat_receipts: ReceiptsTable;
  chat_reservations: ReservationsTable;
  chat_operation_logs: OperationsTable;
  chat_figures: FiguresTable;
}

/** One row a session. The first eight columns are the requirements document's; the rest are ours. */
interface SessionsTable {
  session_id: string;
  user_id: number;
  admin_id: number | null;
  status: 'waiting' | 'active' | 'closed';
  created_at: string;
  updated_at: string;
  last_message_time: string | null;
  message_count: number;
  user_nickname: string;
  user_avatar: string;
  last_admin_id: number | null;
  last_message_id: string | null;
  last_seq: number;
  waiting_since: string | null;
  closed_at: string | null;
  first_user_message_at: string | null;
  first_reply_at: string | null;
  rating_score: number | null;
  rating_comment: string | null;
  rated_at: string | null;
}

/** One row a chat message: the message events of the session's log. */
interface MessagesTable {
  message_id: string;
  session_id: string;
  sender_id: number;
  sender_type: 'user' | 'admin';
  content: string;
  message_type: 'text' | 'image' | 'file' | 'system';
  status: 'sending' | 'sent' | 'delivered' | 'read' | 'failed';
  created_at: string;
  attachments: string | null;
  seq: number;
  client_message_id: string | null;
}

/** One row for every other event of a session's log; shares the numbers of `seq` with the messages. */
interface EventsTable {
  session_id: string;
  seq: number;
  kind: 'status' | 'rating';
  actor_type: 'user' | 'admin' | 'system';
  actor_id: number;
  /** JSON of what the kind has besides. */
  data: string;
  created_at: string;
}

/** Admins who were ever connected. */
interface AdminsTable {
  admin_id: number;
  nickname: string;
  avatar: string;
  idle_since: string;
  /** When the grace of an admin who went away is over; null while they are here, and once it is dealt with. */
  release_at: string | null;
}

/** One row for an admin on a node; alive until `expires_at`. */
interface LeasesTable {
  admin_id: number;
  node_id: string;
  expires_at: string;
}

/** How far messages have reached one reader of a session; `read_seq <= delivered_seq <= last_seq`. */
interface ReceiptsTable {
  session_id: string;
  reader_type: 'user' | 'admin';
  reader_id: number;
  delivered_seq: number;
  read_seq: number;
}

/** The id under which a user's next session opens. */
interface ReservationsTable {
  user_id: number;
  session_id: string;
}

interface OperationsTable {
  id: Generated<number>;
  admin_id: number | null;
  action: string;
  session_id: string | null;
  outcome: string;
  address: string;
  created_at: string;
}

/** What is counted, by quarter of an hour and shard; see `Figures`. The slot -1 is that of now. */
interface FiguresTable {
  slot: number;
  shard: number;
  waiting: number;
  active: number;
  closed: number;
  created: number;
  completed: number;
  answered: number;
  response_ms: number;
  rated: number;
  rating_sum: number;
  messages: number;
}
