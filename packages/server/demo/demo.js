/**
 * A customer and an admin side by side. Only the frames and the REST calls that every front end has (docs/protocol.md);
 * all that comes from people gets into the page as text, never as markup.
 */

import { t, zh } from './demo-words.js';

const byId = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(navigator.language, { hour: '2-digit', minute: '2-digit' });

/** An element with attributes, listeners (`onclick`) and children; texts stay texts. */
function make(tag, attributes = {}, ...children) {
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

let accounts;
async function signIn() {
  accounts = await call('/demo/tokens');
  return accounts;
}

async function call(path, { token, method = 'GET', body } = {}) {
  const headers = { ...(token && { authorization: `Bearer ${token}` }), ...(body && { 'content-type': 'application/json' }) };
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
      this.#tries = 0;
      onState('open');
      onOpen();
    });
    socket.addEventListener('message', ({ data }) => onFrame(JSON.parse(data)));
    socket.addEventListener('close', async () => {
      if (this.#socket !== socket) return;
      onState('connecting');
      const delay = Math.min(500 * 2 ** this.#tries++, 8_000);
      this.#timer = setTimeout(async () => {
        // The token may be what went wrong: after a restart, or after a day.
        await signIn().catch(() => undefined);
        if (this.#socket === socket) this.connect();
      }, delay);
    });
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
class Thread {
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
    const item = { key, clientMessageId: key, content, senderType, createdAt: new Date().toISOString(), state: 'sending' };
    this.#items.set(key, item);
    return item;
  }

  /** What became of a message that was written here. */
  settle(key, stored) {
    const item = this.#items.get(key);
    if (item) Object.assign(item, stored && { messageId: stored.messageId, seq: stored.seq }, { state: stored ? 'sent' : 'failed' });
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
class Side {
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
    for (const [i, node] of nodes.entries()) if (log.children[i] !== node) log.insertBefore(node, log.children[i] ?? null);
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

/** Tells what frames are called here: a setting may have renamed some. */
const called = (type) => accounts.frames[type] ?? type;

// ── the customer ──

const customer = {
  userId: 0,
  session: null,
  thread: new Thread(),
  /** With the newest token. */
  get account() {
    return accounts.customers.find(({ userId }) => userId === this.userId);
  },
};
const customerSide = new Side('customer', {
  query: () => ({ token: customer.account.token }),
  onOpen: () => loadCustomer().catch((error) => customerSide.complain(error)),
  onFrame: hearAsCustomer,
});
customerSide.write = (content) => {
  customerSide.complain(null);
  customerSide.deliver(customer.thread.write(content, 'user'), customer.session?.sessionId);
  drawCustomer();
};

async function loadCustomer() {
  const { token } = customer.account;
  const { session } = await call('/api/chat/sessions/current', { token });
  if (session) {
    customer.session = { sessionId: session.sessionId, status: session.status };
    const path = `/api/chat/sessions/${session.sessionId}/messages?pageSize=100`;
    for (const message of (await call(path, { token })).messages) customer.thread.add(message);
  }
  for (const item of customer.thread.unsent) customerSide.deliver(item, customer.session?.sessionId);
  drawCustomer();
}

function hearAsCustomer({ type, data }) {
  if (type === called('message_ack')) {
    customer.session ??= { sessionId: data.sessionId, status: 'waiting' };
    customer.thread.settle(data.clientMessageId, data);
  } else if (type === called('new_admin_message')) customer.thread.add(data.message);
  else if (type === 'session_status_changed') customer.session = { sessionId: data.sessionId, status: data.status };
  else if (type === called('error')) fail(customerSide, customer.thread, data);
  drawCustomer();
}

function fail(side, thread, error) {
  side.complain(error);
  if (error.clientMessageId && !error.retryable) thread?.settle(error.clientMessageId, null);
}

function drawCustomer() {
  const { session, thread, account } = customer;
  const strip = byId('customer-strip');
  strip.className = `strip ${session?.status ?? ''}`;
  strip.textContent = t(session ? `${session.status}Now` : 'noneYet', accounts.admin.nickname);
  byId('customer-face').textContent = [...account.nickname][0];
  customerSide.show(thread, () => [
    t('greetingCustomer'),
    make('button', { type: 'button', class: 'quiet', onclick: () => customerSide.write(t('example')) }, t('example')),
  ]);
  const rate = byId('rate');
  rate.hidden = session?.status !== 'closed';
  if (rate.hidden) rate.replaceChildren();
  else if (rate.children.length === 0) {
    const star = (score) =>
      make('button', { type: 'button', 'aria-label': t('stars', score), onclick: () => rateSession(score) }, '★');
    rate.replaceChildren(make('span', {}, t('rateIt')), ...[1, 2, 3, 4, 5].map(star));
  }
}

async function rateSession(score) {
  const { session, account } = customer;
  try {
    await call(`/api/chat/sessions/${session.sessionId}/rating`, { token: account.token, method: 'POST', body: { score } });
    const [label, ...stars] = byId('rate').children;
    label.textContent = t('rated');
    for (const [i, star] of stars.entries()) star.classList.toggle('on', i < score);
  } catch (error) {
    customerSide.complain(error);
  }
}

function become(userId) {
  Object.assign(customer, { userId, session: null, thread: new Thread() });
  customerSide.complain(null);
  drawCustomer();
  customerSide.line.connect();
}

// ── the admin ──

const admin = { sessions: new Map(), threads: new Map(), unread: new Map(), chosen: null, onDuty: true };
const adminSide = new Side('admin', {
  query: () => ({ token: accounts.admin.token, type: 'admin', role: 'admin' }),
  onOpen: () => loadAdmin().catch((error) => adminSide.complain(error)),
  onFrame: hearAsAdmin,
  onState: (state) => {
    for (const field of byId('admin-form').elements) field.disabled = state === 'closed';
  },
});
adminSide.write = (content) => {
  if (!admin.chosen) return;
  adminSide.complain(null);
  adminSide.deliver(threadOf(admin.chosen).write(content, 'admin'), admin.chosen);
  drawAdmin();
};
const asAdmin = (path, more) => call(`/api/admin/chat${path}`, { token: accounts.admin.token, ...more });

function threadOf(sessionId) {
  if (!admin.threads.has(sessionId)) admin.threads.set(sessionId, new Thread());
  return admin.threads.get(sessionId);
}

async function loadAdmin() {
  const { sessions } = await asAdmin('/sessions?pageSize=50');
  for (const session of sessions) admin.sessions.set(session.sessionId, session);
  await loadFigures();
  if (admin.chosen) await loadTalk(admin.chosen);
  for (const [sessionId, thread] of admin.threads) for (const item of thread.unsent) adminSide.deliver(item, sessionId);
  drawAdmin();
}

async function loadTalk(sessionId) {
  const { messages } = await asAdmin(`/sessions/${sessionId}/messages?pageSize=100`);
  for (const message of messages) threadOf(sessionId).add(message);
  drawAdmin();
}

async function loadFigures() {
  const { stats } = await asAdmin('/stats/today');
  const figure = (count, name) => make('li', {}, make('b', {}, String(count)), ` ${t(name)}`);
  byId('figures').replaceChildren(
    figure(stats.waitingSessions, 'waitingCount'),
    figure(stats.activeSessions, 'activeCount'),
    figure(stats.messagesToday, 'todayCount'),
  );
}

let reload;
/** Asks for the list and the figures again, once for all the frames of a moment. */
function reloadSoon() {
  clearTimeout(reload);
  reload = setTimeout(() => loadAdmin().catch((error) => adminSide.complain(error)), 150);
}

function hearAsAdmin({ type, data }) {
  if (type === called('message_ack')) threadOf(data.sessionId).settle(data.clientMessageId, data);
  else if (type === 'new_user_message' || type === called('new_admin_message')) {
    threadOf(data.sessionId).add(data.message);
    const known = admin.sessions.get(data.sessionId);
    if (known) admin.sessions.set(data.sessionId, { ...known, lastMessage: data.message, lastMessageTime: data.message.createdAt });
    const seen = admin.chosen === data.sessionId && (document.body.dataset.side === 'admin' || wide.matches);
    if (!seen && type === 'new_user_message') admin.unread.set(data.sessionId, (admin.unread.get(data.sessionId) ?? 0) + 1);
    // On a wide page the first one to write is looked at without a click.
    if (!admin.chosen && wide.matches) choose(data.sessionId);
    reloadSoon();
  } else if (type === 'session_status_changed') {
    const known = admin.sessions.get(data.sessionId);
    if (known) admin.sessions.set(data.sessionId, { ...known, status: data.status, adminId: data.adminId });
    reloadSoon();
  } else if (type === called('error')) fail(adminSide, data.sessionId && threadOf(data.sessionId), data);
  drawAdmin();
}

function choose(sessionId) {
  admin.chosen = sessionId;
  admin.unread.delete(sessionId);
  adminSide.complain(null);
  drawAdmin();
  if (sessionId) loadTalk(sessionId).catch((error) => adminSide.complain(error));
}

async function change(what) {
  try {
    await asAdmin(`/sessions/${admin.chosen}/${what}`, { method: 'POST' });
    await loadAdmin();
  } catch (error) {
    adminSide.complain(error);
  }
}

const statusText = (status) => t(status === 'closed' ? 'closedStatus' : status);

function drawAdmin() {
  const chosen = admin.sessions.get(admin.chosen);
  byId('desk').classList.toggle('chosen', admin.chosen !== null);
  byId('bar').hidden = byId('admin-form').hidden = !chosen;
  byId('talk-name').textContent = chosen?.userInfo.nickname ?? '';
  byId('talk-status').className = `status ${chosen?.status ?? ''}`;
  byId('talk-status').textContent = chosen ? statusText(chosen.status) : '';
  const action = { waiting: 'claim', active: 'close', closed: 'reopen' }[chosen?.status];
  byId('actions').replaceChildren(
    ...(action ? [make('button', { type: 'button', class: action === 'claim' ? 'primary' : 'quiet', onclick: () => change(action) }, t(action))] : []),
  );
  adminSide.show(admin.chosen ? threadOf(admin.chosen) : null, () => (admin.chosen ? [] : [t('greetingAdmin')]));
  drawSessions();
}

function drawSessions() {
  const sessions = [...admin.sessions.values()].sort((a, b) => (b.lastMessageTime ?? '').localeCompare(a.lastMessageTime ?? ''));
  const rows = sessions.map(({ sessionId, userInfo, status, lastMessage, isOnline }) => {
    const unread = admin.unread.get(sessionId);
    return make('li', {}, make('button', { type: 'button', 'aria-current': String(sessionId === admin.chosen), onclick: () => choose(sessionId) },
      make('span', { class: `name ${isOnline ? 'here' : ''}` }, userInfo.nickname),
      make('span', { class: `status ${status}` }, statusText(status)),
      make('span', { class: 'last' }, lastMessage?.content ?? ''),
      ...(unread ? [make('b', { class: 'badge' }, String(unread))] : []),
    ));
  });
  byId('sessions').replaceChildren(...(rows.length > 0 ? rows : [make('li', {}, make('p', {}, t('noSessions')))]));
  const total = [...admin.unread.values()].reduce((sum, count) => sum + count, 0);
  byId('tab-unread').hidden = total === 0;
  byId('tab-unread').textContent = String(total);
}

function goOnDuty(on) {
  admin.onDuty = on;
  byId('shift').textContent = t(on ? 'offDuty' : 'onDuty');
  if (on) adminSide.line.connect();
  else adminSide.line.hangUp();
}

// ── the page ──

const wide = matchMedia('(min-width: 821px)');

function showSide(name) {
  document.body.dataset.side = name;
  for (const tab of document.querySelectorAll('[data-show]')) tab.setAttribute('aria-pressed', String(tab.dataset.show === name));
  if (name === 'admin' && admin.chosen) choose(admin.chosen);
}

async function begin() {
  document.documentElement.lang = zh ? 'zh-CN' : 'en';
  for (const element of document.querySelectorAll('[data-t]')) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll('[data-label]')) element.setAttribute('aria-label', t(element.dataset.label));
  for (const element of document.querySelectorAll('[data-hint]')) element.placeholder = t(element.dataset.hint);
  for (const tab of document.querySelectorAll('[data-show]')) tab.addEventListener('click', () => showSide(tab.dataset.show));
  byId('back').addEventListener('click', () => choose(null));
  byId('shift').addEventListener('click', () => goOnDuty(!admin.onDuty));
  showSide('customer');
  await signIn();
  byId('admin-name').textContent = accounts.admin.nickname;
  byId('admin-face').textContent = [...accounts.admin.nickname][0];
  const names = byId('customer-name');
  names.append(...accounts.customers.map(({ userId, nickname }) => make('option', { value: String(userId) }, nickname)));
  names.addEventListener('change', () => become(Number(names.value)));
  drawAdmin();
  goOnDuty(true);
  become(accounts.customers[0].userId);
}

begin().catch((error) => customerSide.complain(error));
