import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

/** The headers from `jwtctl serve` to the back end. */
const HEADERS = ['X-Auth-Subject', 'X-Auth-Jti'];

function sample(name: string) {
  return parse(readFileSync(fileURLToPath(new URL(`../../docs/proxies/${name}`, import.meta.url)), 'utf8'));
}

/** All other names that WSGI and CGI (RFC 3875 §4.1.18) map to the same variable. */
function lookalikes(header: string): string[] {
  const [first = '', ...rest] = header.split('-');
  const names = rest.reduce(
    (prefixes, part) => prefixes.flatMap((prefix) => [`${prefix}-${part}`, `${prefix}_${part}`]),
    [first],
  );
  return names.filter((name) => name !== header);
}

test('Envoy drops every header with an underscore in its name', () => {
  const { listeners } = sample('envoy.yaml').static_resources;
  for (const { filter_chains } of listeners) {
    for (const { filters } of filter_chains) {
      for (const { typed_config } of filters)
        expect(typed_config.common_http_protocol_options).toEqual({
          headers_with_underscores_action: 'DROP_HEADER',
        });
    }
  }
});

test('on every route, Traefik drops every name that a back end may confuse with these headers', () => {
  const { middlewares, routers } = sample('traefik.yaml').http;
  const stripped = middlewares['strip-lookalikes'].headers.customRequestHeaders;
  expect(middlewares.jwtctl.forwardAuth.authResponseHeaders).toEqual(HEADERS);
  expect(Object.keys(stripped).sort()).toEqual(HEADERS.flatMap(lookalikes).sort());
  expect(new Set(Object.values(stripped))).toEqual(new Set(['']));
  for (const router of Object.values<{ middlewares: string[] }>(routers))
    expect(router.middlewares).toEqual(['strip-lookalikes', 'jwtctl']);
});
