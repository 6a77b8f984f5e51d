import { el, field, fields, follow } from './schema.js';
import { language, t } from './words.js';

const at = (id) => document.getElementById(id);
const isWebSocket = location.pathname.replace(/\/$/, '').endsWith('/websocket');
const source = isWebSocket ? '/asyncapi.json' : '/openapi.json';

at('tabs').append(
  el('a', { href: '/docs', 'aria-current': isWebSocket ? undefined : 'page' }, t('rest')),
  el('a', { href: '/docs/websocket', 'aria-current': isWebSocket ? 'page' : undefined }, t('websocket')),
  el('a', { href: source, class: 'raw' }, t('raw')),
);

/** Texts of the document have `code`, lists, and no more. */
function prose(text) {
  return text.split('\n\n').map((block) => {
    const inline = (line) => line.split('`').map((part, i) => (i % 2 ? el('code', {}, part) : part));
    if (!block.startsWith('- ')) return el('p', {}, inline(block));
    return el(
      'ul',
      { class: 'list' },
      block.split('\n').map((line) => el('li', {}, inline(line.slice(2)))),
    );
  });
}

const block = (title, ...content) => el('section', { class: 'block' }, el('h4', {}, title), content);

function card(id, badge, kind, title, summary, ...content) {
  return el(
    'details',
    { class: 'card', id },
    el(
      'summary',
      {},
      el('span', { class: `badge ${kind}` }, badge),
      el('code', { class: 'title' }, title),
      el('span', { class: 'summary' }, summary),
    ),
    el('div', { class: 'inside' }, content),
  );
}

function answer(root, status, raw) {
  const { description = '', content = {} } = follow(root, raw);
  const [[media, { schema } = {}] = []] = Object.entries(content);
  const below = schema && fields(root, schema);
  const row = [
    el('span', { class: `status s${status[0]}` }, status),
    el('span', {}, raw.$ref ? el('code', {}, raw.$ref.split('/').at(-1)) : ''),
    el('span', { class: 'notes' }, description === 'OK' ? (media ?? '') : description),
  ];
  if (!below) return el('li', { class: 'field' }, el('div', { class: 'row' }, row));
  return el(
    'li',
    { class: 'field' },
    el('details', { open: status === '200' }, el('summary', { class: 'row' }, row), below),
  );
}

function operationCard(root, { path, method, operation, alias }) {
  const { operationId, summary, description, security, responses } = operation;
  const parameters = operation.parameters.map((one) => follow(root, one));
  const body = operation.requestBody?.content['application/json']?.schema;
  return card(
    operationId,
    method.toUpperCase(),
    method,
    path,
    summary,
    description ? prose(description) : [],
    alias ? el('p', { class: 'aside' }, `${t('alias')} `, el('code', {}, alias)) : '',
    security.length > 0
      ? el(
          'p',
          { class: 'aside' },
          `${t('token')}: `,
          el('code', {}, 'Authorization: Bearer …'),
          ` ${t('or')} `,
          el('code', {}, '?token=…'),
        )
      : '',
    parameters.length > 0
      ? block(
          t('parameters'),
          el(
            'ul',
            { class: 'fields' },
            parameters.map((one) =>
              field(root, one.name, { description: one.description ?? one.in, ...one.schema }, one.required),
            ),
          ),
        )
      : '',
    body ? block(t('body'), fields(root, body) ?? '') : '',
    block(
      t('answers'),
      el(
        'ul',
        { class: 'fields' },
        Object.entries(responses).map(([status, one]) => answer(root, status, one)),
      ),
    ),
  );
}

function restGroups(root) {
  const all = Object.entries(root.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
  );
  const shorts = new Map(all.map((one) => [one.operation.operationId, one.path]));
  return root.tags.map(({ name, description }) => ({
    title: t(name),
    description,
    cards: all
      .filter(({ operation }) => operation.tags.includes(name))
      // Both prefixes are the same thing: shown once.
      .filter(
        ({ operation: { operationId } }) => !(operationId.endsWith('Short') && shorts.has(operationId.slice(0, -5))),
      )
      .map((one) => ({
        id: one.operation.operationId,
        label: one.operation.summary,
        card: operationCard(root, { ...one, alias: shorts.get(`${one.operation.operationId}Short`) }),
      })),
  }));
}

function frameCard(root, type, { action, reply }) {
  const message = root.components.messages[type];
  const tag = message.tags[0].name;
  return card(
    type,
    t(tag),
    action,
    message.name,
    message.summary,
    reply
      ? el(
          'p',
          { class: 'aside' },
          `${t('replies')} `,
          reply.messages.flatMap(({ $ref }) => {
            const name = $ref.split('/').at(-1);
            return [el('a', { href: `#${name}` }, el('code', {}, root.components.messages[name].name)), ' '];
          }),
        )
      : '',
    block(t('payload'), fields(root, message.payload) ?? ''),
  );
}

function frameGroups(root) {
  return ['receive', 'send'].map((action) => ({
    title: t(action),
    description: '',
    cards: Object.entries(root.operations)
      .filter(([, one]) => one.action === action)
      .map(([type, one]) => ({
        id: type,
        label: root.components.messages[type].name,
        card: frameCard(root, type, one),
      })),
  }));
}

function show(root) {
  const { title, version, description } = root.info;
  document.title = `${title} · ${t(isWebSocket ? 'websocket' : 'rest')}`;
  at('version').textContent = version;
  const groups = isWebSocket ? frameGroups(root) : restGroups(root);
  const entries = groups.flatMap((group) =>
    group.cards.map((one) => ({ ...one, link: el('a', { href: `#${one.id}` }, one.label) })),
  );
  const linkOf = new Map(entries.map(({ id, link }) => [id, link]));
  const filter = el('input', { type: 'search', placeholder: t('filter'), 'aria-label': t('filter') });
  filter.addEventListener('input', () => {
    const word = filter.value.trim().toLowerCase();
    for (const { card: shown, link } of entries) {
      const fits = shown.querySelector('summary').textContent.toLowerCase().includes(word);
      shown.hidden = !fits;
      link.hidden = !fits;
    }
  });
  at('index').replaceChildren(
    filter,
    ...groups.flatMap((group) => [el('h3', {}, group.title), ...group.cards.map(({ id }) => linkOf.get(id))]),
  );
  at('main').replaceChildren(
    el('section', { class: 'about' }, el('h1', {}, title), prose(description)),
    ...groups.map((group) =>
      el(
        'section',
        {},
        el('h2', {}, group.title, group.description ? el('small', {}, group.description) : ''),
        group.cards.map((one) => one.card),
      ),
    ),
  );
  openTarget();
}

/** The card that the address names is opened and shown. */
function openTarget() {
  const target = at(decodeURIComponent(location.hash.slice(1)));
  if (target?.tagName !== 'DETAILS') return;
  target.open = true;
  target.scrollIntoView();
}
addEventListener('hashchange', openTarget);

try {
  const response = await fetch(source, { headers: { 'accept-language': language } });
  if (!response.ok) throw new Error(String(response.status));
  show(await response.json());
} catch {
  at('main').replaceChildren(el('p', { class: 'fault', role: 'alert' }, t('nothing')));
}
