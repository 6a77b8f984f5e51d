/**
 * Every limit of the wire in one place. Both ends read them; the documents quote them.
 * Sizes are bytes where the name says Bytes, Unicode code points where it says Characters.
 */
export const limits = {
  /** One WebSocket frame, after reassembly. A larger one closes the connection with 1009. */
  frameBytes: 65_536,
  /** One REST request body: 10,000 emoji, each written as two `\\uXXXX` escapes, must fit. */
  bodyBytes: 131_072,
  /** A message's text after trimming. */
  contentCharacters: 10_000,
  /** The same as it is stored, untrimmed, in UTF-8: what a TEXT column of MySQL holds. */
  contentBytes: 65_535,
  /** Nesting of objects and arrays in one frame or body. */
  jsonDepth: 16,
  /** Keys of one object in a frame or body. */
  jsonKeys: 256,
  attachments: 10,
  /** Sessions of one `resume`. */
  resumeSessions: 200,
  nicknameCharacters: 100,
  avatarCharacters: 1_000,
  ratingCommentCharacters: 1_000,
  pageSize: 100,
  /** Largest page number: keeps OFFSET an exact integer in every store. */
  page: 1_000_000,
  /** A 32-bit signed INT: what the tables of the requirements can hold. */
  id: 2_147_483_647,
} as const;

/** A session's or message's public id. */
export const ID_PATTERN = '^[A-Za-z0-9_-]{1,100}$';
/** A sender's own id of a message, unique per session and sender for ever. */
export const CLIENT_MESSAGE_ID_PATTERN = '^[A-Za-z0-9_-]{1,64}$';
/** A place in the list of sessions: nothing that clients read, but what they send must be one. Ids of adopted sessions may be any text. */
export const SESSION_CURSOR_PATTERN = '^[0-9]{0,13}\\.[\\s\\S]{1,100}$';
