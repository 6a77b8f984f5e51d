/**
 * A customer and an admin side by side. Only the frames and the REST calls that every front end has (docs/protocol.md);
 * all that comes from people gets into the page as text, never as markup.
 */

import { accounts, byId, call, make, Side, signIn, Thread } from './demo-side.js';
import { t, zh } from './demo-words.js';

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
  onOpen: () => {
    loadCustomer().catch((error) => customerSide.complain(error));
    // No frame tells who is online: the list is asked for again.
    reloadSoon();
  },
  onFrame: hearAsCustomer,
});
customerSide.write = (content) => {
  customerSide.complain(null);
  customerSide.deliver(customer.thread.write(content, 'user'), customer.session?.sessionId);
  drawCustomer();
};

async function loadCustomer() {
  const { userId, account, thread } = customer;
  // Who is no longer shown when the answer comes must not get into what is.
  const left = () => customer.userId !== userId;
  const { session } = await call('/api/chat/sessions/current', account);
  if (left()) return;
  if (session) {
    customer.session = { sessionId: session.sessionId, status: session.status };
    const { messages } = await call(`/api/chat/sessions/${session.sessionId}/messages?pageSize=100`, account);
    for (const message of messages) thread.add(message);
    if (left()) return;
  }
  for (const item of thread.unsent) customerSide.deliver(item, customer.session?.sessionId);
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
    await call(`/api/chat/sessions/${session.sessionId}/rating`, {
      token: account.token,
      method: 'POST',
      body: { score },
    });
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
  reload = setTimeout(() => void loadAdmin().catch((error) => adminSide.complain(error)), 150);
}

function hearAsAdmin({ type, data }) {
  if (type === called('message_ack')) threadOf(data.sessionId).settle(data.clientMessageId, data);
  else if (type === 'new_user_message' || type === called('new_admin_message')) {
    threadOf(data.sessionId).add(data.message);
    const known = admin.sessions.get(data.sessionId);
    if (known)
      admin.sessions.set(data.sessionId, {
        ...known,
        lastMessage: data.message,
        lastMessageTime: data.message.createdAt,
      });
    const seen = admin.chosen === data.sessionId && (document.body.dataset.side === 'admin' || wide.matches);
    if (!seen && type === 'new_user_message')
      admin.unread.set(data.sessionId, (admin.unread.get(data.sessionId) ?? 0) + 1);
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
    ...(action
      ? [
          make(
            'button',
            { type: 'button', class: action === 'claim' ? 'primary' : 'quiet', onclick: () => change(action) },
            t(action),
          ),
        ]
      : []),
  );
  adminSide.show(admin.chosen ? threadOf(admin.chosen) : null, () => (admin.chosen ? [] : [t('greetingAdmin')]));
  drawSessions();
}

function drawSessions() {
  const sessions = [...admin.sessions.values()].sort((a, b) =>
    (b.lastMessageTime ?? '').localeCompare(a.lastMessageTime ?? ''),
  );
  const rows = sessions.map(({ sessionId, userInfo, status, lastMessage, isOnline }) => {
    const unread = admin.unread.get(sessionId);
    return make(
      'li',
      {},
      make(
        'button',
        { type: 'button', 'aria-current': String(sessionId === admin.chosen), onclick: () => choose(sessionId) },
        make('span', { class: `name ${isOnline ? 'here' : ''}` }, userInfo.nickname),
        make('span', { class: `status ${status}` }, statusText(status)),
        make('span', { class: 'last' }, lastMessage?.content ?? ''),
        ...(unread ? [make('b', { class: 'badge' }, String(unread))] : []),
      ),
    );
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
  for (const tab of document.querySelectorAll('[data-show]'))
    tab.setAttribute('aria-pressed', String(tab.dataset.show === name));
  if (name === 'admin' && admin.chosen) choose(admin.chosen);
}

async function begin() {
  document.documentElement.lang = zh ? 'zh-CN' : 'en';
  for (const element of document.querySelectorAll('[data-t]')) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll('[data-label]'))
    element.setAttribute('aria-label', t(element.dataset.label));
  for (const element of document.querySelectorAll('[data-hint]')) element.placeholder = t(element.dataset.hint);
  for (const tab of document.querySelectorAll('[data-show]'))
    tab.addEventListener('click', () => showSide(tab.dataset.show));
  byId('back').addEventListener('click', () => choose(null));
  byId('shift').addEventListener('click', () => goOnDuty(!admin.onDuty));
  showSide('customer');
  await signIn();
  byId('admin-name').textContent = accounts.admin.nickname;
  byId('admin-face').textContent = [...accounts.admin.nickname][0];
  const names = byId('customer-name');
  names.append(
    ...accounts.customers.map(({ userId, nickname }) => make('option', { value: String(userId) }, nickname)),
  );
  names.addEventListener('change', () => become(Number(names.value)));
  drawAdmin();
  goOnDuty(true);
  become(accounts.customers[0].userId);
}

begin().catch((error) => customerSide.complain(error));
