import { t } from './words.js';

/** An element with attributes and children; texts are texts, whatever they hold. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ''));
  return element;
}

/** What `$ref` points to in the document. */
export function follow(root, node) {
  if (typeof node?.$ref !== 'string') return node;
  return node.$ref
    .split('/')
    .slice(1)
    .reduce((here, step) => here?.[step], root);
}

const nameOf = ($ref) => $ref.split('/').at(-1);

/** A type in a few words. */
function typeText(schema) {
  if (schema.$ref) return nameOf(schema.$ref);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.anyOf) return schema.anyOf.map(typeText).join(` ${t('or')} `);
  if (schema.type === 'array') return `${typeText(schema.items ?? {})}[]`;
  if (schema.format) return `${schema.type} (${schema.format})`;
  return schema.type ?? t('anything');
}

function notes(schema) {
  const { minimum, maximum, maxLength, maxItems, pattern, default: usual, description } = schema;
  const list = [];
  if (minimum !== undefined || maximum !== undefined) list.push(`${minimum ?? ''} … ${maximum ?? ''}`);
  if (maxLength !== undefined) list.push(t('upTo', maxLength));
  if (maxItems !== undefined) list.push(t('entries', maxItems));
  if (usual !== undefined) list.push(`${t('usually')} ${JSON.stringify(usual)}`);
  return el(
    'span',
    { class: 'notes' },
    list.join(' · '),
    pattern ? el('code', {}, pattern) : '',
    description ? el('em', {}, description) : '',
  );
}

/** One named value: a parameter, or a field of an object with all that is below it. */
export function field(root, name, schema, required, seen = []) {
  const below = fields(root, schema, seen);
  const row = [
    el('code', { class: 'name' }, name),
    el('span', { class: 'type' }, typeText(schema)),
    required ? el('span', { class: 'must' }, t('required')) : '',
    notes(schema),
  ];
  if (!below) return el('li', { class: 'field' }, el('div', { class: 'row' }, row));
  const open = seen.length === 0 && !schema.$ref && schema.type !== 'array';
  return el('li', { class: 'field' }, el('details', { open }, el('summary', { class: 'row' }, row), below));
}

/** The fields of an object, also of one in a list or among alternatives; null where there are none. */
export function fields(root, schema, seen = []) {
  if (schema.$ref) {
    return seen.includes(schema.$ref) ? null : fields(root, follow(root, schema), [...seen, schema.$ref]);
  }
  if (schema.type === 'array') return fields(root, schema.items ?? {}, seen);
  const parts = [];
  for (const one of schema.anyOf ?? []) {
    const inside = fields(root, one, seen);
    if (inside) parts.push(inside);
  }
  if (parts.length > 0) return el('div', { class: 'either' }, parts);
  const { properties = {}, patternProperties = {}, required = [] } = schema;
  const rows = [
    ...Object.entries(properties).map(([name, one]) => field(root, name, one, required.includes(name), seen)),
    ...Object.values(patternProperties).flatMap((one) =>
      Object.keys(one).length > 0 ? [field(root, `[${t('anyKey')}]`, one, false, seen)] : [],
    ),
  ];
  return rows.length > 0 ? el('ul', { class: 'fields' }, rows) : null;
}
