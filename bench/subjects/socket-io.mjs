// @ts-nocheck: its libraries are installed by the bench alone (bench/package.json)
/**
 * The yardstick: a support chat as one would write it in an afternoon, with Express, Socket.IO and a MySQL pool. It checks
 * tokens, stores each message, touches the session, tells the admin and acknowledges: what Switchboard does, one by one.
 */
import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import express from 'express';
import mysql from 'mysql2/promise';
import { Server } from 'socket.io';

const { PORT, DATABASE_URL, JWT_SECRET } = process.env;
const ADMIN = 1;
const pool = mysql.createPool({ uri: DATABASE_URL, connectionLimit: 10, timezone: 'Z' });

await pool.query(`CREATE TABLE chat_sessions (
  session_id VARCHAR(100) PRIMARY KEY, user_id INT NOT NULL, admin_id INT NULL,
  status ENUM('waiting', 'active', 'closed') DEFAULT 'waiting', created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, last_message_time TIMESTAMP NULL,
  message_count INT DEFAULT 0,
  INDEX idx_user_id (user_id), INDEX idx_admin_id (admin_id), INDEX idx_status (status), INDEX idx_created_at (created_at)
) ENGINE=InnoDB`);
await pool.query(`CREATE TABLE chat_messages (
  message_id VARCHAR(100) PRIMARY KEY, session_id VARCHAR(100) NOT NULL, sender_id INT NOT NULL,
  sender_type ENUM('user', 'admin') NOT NULL, content TEXT NOT NULL,
  message_type ENUM('text', 'image', 'file', 'system') DEFAULT 'text',
  status ENUM('sending', 'sent', 'delivered', 'read', 'failed') DEFAULT 'sent',
  created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, attachments JSON NULL,
  INDEX idx_session_id (session_id), INDEX idx_sender_id (sender_id), INDEX idx_created_at (created_at),
  FOREIGN KEY (session_id) REFERENCES chat_sessions(session_id)
) ENGINE=InnoDB`);

const app = express();
app.get('/readyz', (_request, response) => response.json({ ready: true }));
const http = createServer(app);
const io = new Server(http, { perMessageDeflate: false });

function verify(token) {
  const [head, body, signature] = token.split('.');
  const expected = createHmac('sha256', JWT_SECRET).update(`${head}.${body}`).digest();
  const given = Buffer.from(signature, 'base64url');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw new Error('bad token');
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString());
  if (claims.exp * 1000 < Date.now()) throw new Error('expired token');
  return claims;
}

/** Who connects; a user's session is made if there is none. */
async function admit(socket, next) {
  try {
    const { userId, roles, nickname } = verify(socket.handshake.auth.token);
    socket.data = { userId, nickname, admin: roles.includes('admin') };
    if (!socket.data.admin) {
      await pool.query(
        "INSERT IGNORE INTO chat_sessions (session_id, user_id, admin_id, status) VALUES (?, ?, ?, 'active')",
        [`s${userId}`, userId, ADMIN],
      );
    }
    next();
  } catch (error) {
    next(error);
  }
}

io.use((socket, next) => void admit(socket, next));

io.on('connection', (socket) => {
  const { userId, nickname, admin } = socket.data;
  if (admin) void socket.join(`admin:${userId}`);
  socket.on('send_message', async (data, acknowledge) => {
    try {
      const messageId = `msg_${randomUUID()}`;
      const createdAt = new Date();
      await pool.query(
        "INSERT INTO chat_messages (message_id, session_id, sender_id, sender_type, content, message_type, created_at) VALUES (?, ?, ?, 'user', ?, ?, ?)",
        [messageId, data.sessionId, userId, data.content, data.messageType, createdAt],
      );
      await pool.query(
        'UPDATE chat_sessions SET last_message_time = ?, message_count = message_count + 1 WHERE session_id = ?',
        [createdAt, data.sessionId],
      );
      const { sessionId, content, messageType, clientMessageId } = data;
      io.to(`admin:${ADMIN}`).emit('new_user_message', {
        sessionId,
        message: { messageId, senderId: userId, senderType: 'user', content, messageType, createdAt, clientMessageId },
        userInfo: { userId, nickname, avatar: '' },
      });
      acknowledge({ sessionId, messageId, clientMessageId, status: 'sent', timestamp: createdAt });
    } catch (error) {
      acknowledge({ error: error.message });
    }
  });
});

http.listen(Number(PORT), '127.0.0.1');
