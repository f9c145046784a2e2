import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

/** The headers from `jwtctl serve` to the back end. */
const HEADERS = ['X-Auth-Subject', 'X-Auth-Jti', 'X-User-Role'];
/** Of these, jwtctl sends those whose claim the token has. */
const OPTIONAL = ['X-User-Role'];

function sample(name: string) {
  return parse(readFileSync(fileURLToPath(new URL(`../../docs/proxies/${name}`, import.meta.url)), 'utf8'));
}

/** All other names that WSGI and CGI (RFC 3875 §4.1.18), or PHP for dots, map to the same variable. */
function lookalikes(header: string, separators: readonly string[]): string[] {
  const [first = '', ...rest] = header.split('-');
  const names = rest.reduce(
    (prefixes, part) =>
      prefixes.flatMap((prefix) => separators.map((separator) => `${prefix}${separator}${part}`)),
    [first],
  );
  return names.filter((name) => name !== header);
}

test('Envoy drops every header with an underscore in its name, and look-alikes with dots', () => {
  const { listeners } = sample('envoy.yaml').static_resources;
  const dotted = HEADERS.flatMap((header) => lookalikes(header, ['-', '.']));
  for (const { filter_chains } of listeners) {
    for (const { filters } of filter_chains) {
      for (const { typed_config } of filters) {
        expect(typed_config.common_http_protocol_options).toEqual({
          headers_with_underscores_action: 'DROP_HEADER',
        });
        expect(typed_config.route_config.request_headers_to_remove.sort()).toEqual(dotted.sort());
      }
    }
  }
});

test('before it asks, Envoy drops headers that jwtctl may not send', () => {
  const { listeners } = sample('envoy.yaml').static_resources;
  const [{ typed_config }] = listeners[0].filter_chains[0].filters;
  const removed = typed_config.early_header_mutation_extensions.flatMap(
    (extension: { typed_config: { mutations: Array<{ remove: string }> } }) =>
      extension.typed_config.mutations.map(({ remove }) => remove),
  );
  expect(removed).toEqual(OPTIONAL);
});

test('on every route, Traefik drops every name that a back end may confuse with these headers', () => {
  const { middlewares, routers } = sample('traefik.yaml').http;
  const stripped = middlewares['strip-lookalikes'].headers.customRequestHeaders;
  expect(middlewares.jwtctl.forwardAuth.authResponseHeaders).toEqual(HEADERS);
  expect(Object.keys(stripped).sort()).toEqual(
    HEADERS.flatMap((header) => lookalikes(header, ['-', '_', '.'])).sort(),
  );
  expect(new Set(Object.values(stripped))).toEqual(new Set(['']));
  expect(routers.app.middlewares).toEqual(['strip-lookalikes', 'jwtctl']);
  expect(routers.login.middlewares).toEqual(['strip-lookalikes', 'strip-user']);
  const { customRequestHeaders } = middlewares['strip-user'].headers;
  expect(customRequestHeaders).toEqual(Object.fromEntries(HEADERS.map((header) => [header, ''])));
  expect(Object.keys(routers)).toEqual(['login', 'app']);
});

test('at the login, Envoy asks for no token, and passes no user on', () => {
  const { listeners } = sample('envoy.yaml').static_resources;
  const [{ typed_config }] = listeners[0].filter_chains[0].filters;
  const [login, app, ...others] = typed_config.route_config.virtual_hosts[0].routes;
  expect([login.match, app.match, others]).toEqual([{ path: '/login' }, { prefix: '/' }, []]);
  expect(login.typed_per_filter_config['envoy.filters.http.ext_authz'].disabled).toBe(true);
  // The other headers are dropped before the filters run.
  const removed = [...login.request_headers_to_remove, ...OPTIONAL];
  expect(removed.sort()).toEqual([...HEADERS].sort());
  expect(app.typed_per_filter_config).toBeUndefined();
});
