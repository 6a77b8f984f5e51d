import fc from 'fast-check';
import { expect, test } from 'vitest';
import { routable } from './path-escapes.ts';

test.each(['/', '/admin/chat/sessions?status=%zz', '/a%20b', '/%E4%BD%A0', '/a%2Fb', '/a#%zz', '*'])(
  '%s stays as it is',
  (url) => {
    expect(routable(url)).toBe(url);
  },
);

test.each([
  ['/%zz', '/%25zz'],
  ['/sessions/%E0%A4%A/messages?page=%31', '/sessions/%25E0%25A4%25A/messages?page=%31'],
  ['/%', '/%25'],
  ['/%ff%20', '/%25ff%2520'],
])('%s becomes %s', (url, changed) => {
  expect(routable(url)).toBe(changed);
});

test('whatever comes, the path that is routed can be decoded, and the query is untouched', () => {
  const piece = fc.constantFrom('%', '%2', '%zz', '%ff', '%20', '%25', '%E4%BD%A0', '/', 'a', '?', '#', '=');
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const url = `/${pieces.join('')}`;
      const [path = '', query] = routable(url).split(/[?#](.*)/s);
      expect(() => decodeURIComponent(path)).not.toThrow();
      expect(query).toBe(url.split(/[?#](.*)/s)[1]);
    }),
  );
});
