/** The tables as the requirements document creates them, word for word. */
export const documentSql = `
CREATE TABLE chat_sessions (
  session_id VARCHAR(100) PRIMARY KEY,
  user_id INT NOT NULL,
  admin_id INT NULL,
  status ENUM('waiting', 'active', 'closed') DEFAULT 'waiting',
  created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  last_message_time TIMESTAMP NULL,
  message_count INT DEFAULT 0,
  
  INDEX idx_user_id (user_id),
  INDEX idx_admin_id (admin_id),
  INDEX idx_status (status),
  INDEX idx_created_at (created_at)
);

CREATE TABLE chat_messages (
  message_id VARCHAR(100) PRIMARY KEY,
  session_id VARCHAR(100) NOT NULL,
  sender_id INT NOT NULL,
  sender_type ENUM('user', 'admin') NOT NULL,
  content TEXT NOT NULL,
  message_type ENUM('text', 'image', 'file', 'system') DEFAULT 'text',
  status ENUM('sending', 'sent', 'delivered', 'read', 'failed') DEFAULT 'sent',
  created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  attachments JSON NULL,
  
  INDEX idx_session_id (session_id),
  INDEX idx_sender_id (sender_id),
  INDEX idx_created_at (created_at),
  
  FOREIGN KEY (session_id) REFERENCES chat_sessions(session_id)
);
`;
