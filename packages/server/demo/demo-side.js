/** What both sides of the demo page have: the way to the server, the messages of a session, the line, the log. */
import { t } from './demo-words.js';

export const byId = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(navigator.language, { hour: '2-digit', minute: '2-digit' });

/** An element with attributes, listeners (`onclick`) and children; texts stay texts. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'class') element.className = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// ── the way to the server ──

/** The demo accounts with their tokens, and the names that frames have here. */
export let accounts;
export async function signIn() {
  accounts = await call('/demo/tokens');
}

export async function call(path, { token, method = 'GET', body } = {}) {
  const headers = {
    ...(token && { authorization: `Bearer ${token}` }),
    ...(body && { 'content-type': 'application/json' }),
  };
  const response = await fetch(path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  const answer = await response.json();
  if (!answer.success) throw new Error(answer.error.message);
  return answer.data;
}

/** A WebSocket that comes back after a break, with more patience each time. */
class Line {
  #socket = null;
  #timer;
  #tries = 0;
  #parts;

  constructor(parts) {
    this.#parts = parts;
  }

  connect() {
    this.hangUp();
    const { query, onState, onOpen, onFrame } = this.#parts;
    onState('connecting');
    const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/chat?${new URLSearchParams(query())}`);
    this.#socket = socket;
    socket.addEventListener('open', () => {
      if (this.#socket !== socket) return;
      this.#tries = 0;
      onState('open');
      onOpen();
    });
    socket.addEventListener('message', ({ data }) => {
      if (this.#socket === socket) onFrame(JSON.parse(data));
    });
    socket.addEventListener('close', () => {
      if (this.#socket !== socket) return;
      onState('connecting');
      this.#timer = setTimeout(() => void this.#comeBack(socket), Math.min(500 * 2 ** this.#tries++, 8_000));
    });
  }

  async #comeBack(lost) {
    // The token may be what went wrong: after a restart, or after a day.
    await signIn().catch(() => undefined);
    if (this.#socket === lost) this.connect();
  }

  hangUp() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#parts.onState('closed');
  }

  /** False when there is no connection: the frame is not kept. */
  send(frame) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }
}

// ── one side of the conversation ──

/** The messages of one session, those that are not stored yet included. */
export class Thread {
  #items = new Map();

  /** Takes in a message from a frame or from REST; one that is known already stays one. */
  add(message) {
    const own = message.clientMessageId && this.#items.get(message.clientMessageId);
    if (own) this.settle(own.key, message);
    else if (![...this.#items.values()].some(({ messageId }) => messageId === message.messageId)) {
      this.#items.set(message.messageId, { ...message, key: message.messageId, state: 'sent' });
    }
  }

  write(content, senderType) {
    const key = crypto.randomUUID();
    const item = {
      key,
      clientMessageId: key,
      content,
      senderType,
      createdAt: new Date().toISOString(),
      state: 'sending',
    };
    this.#items.set(key, item);
    return item;
  }

  /** What became of a message that was written here. */
  settle(key, stored) {
    const item = this.#items.get(key);
    if (item)
      Object.assign(item, stored && { messageId: stored.messageId, seq: stored.seq }, {
        state: stored ? 'sent' : 'failed',
      });
  }

  get unsent() {
    return [...this.#items.values()].filter(({ state }) => state === 'sending');
  }

  get items() {
    const place = ({ seq }) => seq ?? Infinity;
    return [...this.#items.values()].sort((a, b) => (place(a) === place(b) ? 0 : place(a) - place(b)));
  }
}

/** What both sides have: a log of messages, a field to write in, the state of the line, the frames on the wire. */
export class Side {
  #name;
  #shown = new Map();

  constructor(name, line) {
    this.#name = name;
    this.line = new Line({
      ...line,
      onState: (state) => {
        const label = this.part('state');
        label.className = `state ${state}`;
        label.textContent = t(state);
        line.onState?.(state);
      },
      onFrame: (frame) => {
        this.#record(frame, 'in');
        line.onFrame(frame);
      },
    });
    const form = this.part('form');
    const field = this.part('text');
    field.addEventListener('input', () => {
      field.style.height = 'auto';
      field.style.height = `${field.scrollHeight + 2}px`;
    });
    field.addEventListener('keydown', (event) => {
      // While an input method composes, Enter chooses a word.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (field.value.trim() === '') return;
      this.write(field.value.trim());
      field.value = '';
      field.dispatchEvent(new Event('input'));
    });
  }

  part(name) {
    return byId(`${this.#name}-${name}`);
  }

  /** Sends what was written; a break of the line only delays it, and its id keeps it from being stored twice. */
  deliver({ clientMessageId, content }, sessionId) {
    const data = { ...(sessionId && { sessionId }), content, messageType: 'text', clientMessageId };
    const frame = { type: 'send_message', data };
    if (this.line.send(frame)) this.#record(frame, 'out');
  }

  complain(error) {
    const fault = this.part('fault');
    fault.hidden = !error;
    fault.textContent = error instanceof TypeError ? t('unreachable') : (error?.message ?? '');
  }

  /** Brings the log up to date. Nodes that are there stay: a screen reader reads out only what is new. */
  show(thread, empty) {
    const log = this.part('log');
    const below = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
    if (thread !== this.#shown.thread) this.#shown = Object.assign(new Map(), { thread });
    const items = thread?.items ?? [];
    const nodes = items.map((item) => this.#node(item));
    if (nodes.length === 0) nodes.push(make('li', { class: 'empty' }, ...empty()));
    for (const [i, node] of nodes.entries())
      if (log.children[i] !== node) log.insertBefore(node, log.children[i] ?? null);
    while (log.children.length > nodes.length) log.lastChild.remove();
    if (below) log.scrollTop = log.scrollHeight;
  }

  #node(item) {
    let node = this.#shown.get(item.key);
    if (!node) {
      node = make('li', {}, make('div', { class: 'bubble' }, item.content), make('div', { class: 'meta' }));
      this.#shown.set(item.key, node);
    }
    const mine = item.senderType === (this.#name === 'admin' ? 'admin' : 'user');
    node.className = `${mine ? 'mine' : ''} ${item.state === 'failed' ? 'failed' : ''}`;
    const state = mine ? ` · ${t(item.state)}${item.seq ? ` #${item.seq}` : ''}` : '';
    node.lastChild.textContent = clock.format(new Date(item.createdAt)) + state;
    return node;
  }

  #record(frame, way) {
    const list = this.part('wire').querySelector('ol');
    list.prepend(make('li', { class: way }, JSON.stringify(frame)));
    if (list.children.length > 60) list.lastChild.remove();
  }
}
