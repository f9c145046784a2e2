import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compiled, openApiOf } from '../support/openapi.js';
import { basic, CLIENT, servingsOver } from '../support/serving.js';
import { openStores, type Stores } from '../support/stores.js';

let stores: Stores;

beforeAll(async () => {
  stores = await openStores('SQLite');
  await stores.json('keys', 'generate');
  await stores.json('users', 'add', 'alice');
});
afterAll(() => stores?.close());

const serving = servingsOver(() => stores);
const open = () => serving({ logout: true, publicUrl: 'http://127.0.0.1:8787' });

// biome-ignore lint/suspicious/noExplicitAny: a document that the tests look into
type Operation = any;

async function operations() {
  const { app } = await open();
  const document = await openApiOf(app);
  const found = Object.entries<Record<string, Operation>>(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  return { app, document, found };
}

test('the document lists every route', async () => {
  const { app, found } = await operations();
  const listed = new Set(found.map(({ path, method }) => `${method.toUpperCase()} ${path}`));
  const known = [...routesIn(app.printRoutes({ commonPrefix: false, includeHooks: false }))];
  // /verify has every method, and is listed once. A HEAD follows from each GET, and discovery has paths of the issuer.
  const others = known.filter(
    (name) => !/^[\w-]+ \/verify|\*$/.test(name) && !/^(HEAD|OPTIONS|TRACE) /.test(name),
  );
  expect([...listed].filter((name) => name !== 'GET /verify').sort()).toEqual(others.sort());
});

/** Reads the lines of Fastify's tree, such as `│   └── /tokens (GET, HEAD)`. */
function* routesIn(tree: string): Generator<string> {
  const above: string[] = [];
  for (const line of tree.split('\n')) {
    const [, indent = '', name = '', methods = ''] =
      /^([│ ]*)[├└]── (\S*)(?: \(([A-Z, -]+)\))?/.exec(line) ?? [];
    if (line.trim() === '') continue;
    above.splice(indent.length / 4, above.length, name);
    const path = above.join('').replace(/:(\w+)/g, '{$1}');
    for (const method of methods.split(', ').filter(Boolean)) yield `${method} ${path}`;
  }
}

test('the document is OpenAPI 3.1, and its schemas and references are valid', async () => {
  const { document, found } = await operations();
  expect(document.openapi).toBe('3.1.0');
  // The schema that the OpenAPI Initiative publishes for its documents.
  expect(await new Validator().validate(structuredClone(document))).toEqual({ valid: true });
  const ids = found.map(({ operation }) => operation.operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const [, name = ''] of JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g))
    expect(document.components.schemas).toHaveProperty(name);
  for (const schema of Object.values<object>(document.components.schemas)) compiled(document, schema);
  for (const { path, operation } of found) {
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const declared = (operation.parameters ?? []).filter((one: { in: string }) => one.in === 'path');
    expect(declared.map(({ name }: { name: string }) => name)).toEqual(inPath);
    expect(Object.keys(operation.responses).every((status) => /^[2-5]\d\d$/.test(status))).toBe(true);
    for (const requirement of operation.security)
      expect(document.components.securitySchemes).toHaveProperty(Object.keys(requirement)[0] ?? '');
  }
});

test('the names of its schemas and operations stay, because clients are generated from them', async () => {
  const { document, found } = await operations();
  expect(Object.keys(document.components.schemas)).toEqual([
    ...[
      'IssueRequest',
      'IssuedToken',
      'RefreshedToken',
      'TokenList',
      'EndedTokens',
      'UserRequest',
      'UserChange',
      'User',
    ],
    ...['RemovedUser', 'RefreshedUser', 'Error', 'OauthError', 'Denial'],
  ]);
  expect(found.map(({ operation }) => operation.operationId)).toEqual(
    expect.arrayContaining(['issueToken', 'introspect', 'revokeToken', 'listTokens', 'endTokens', 'putUser']),
  );
});

test('every example fits its schema, and works', async () => {
  const { app, document, found } = await operations();
  const examples = found.flatMap(({ path, method, operation }) => {
    const { example, schema } = operation.requestBody?.content['application/json'] ?? {};
    return example === undefined ? [] : [{ path, method, example, schema }];
  });
  expect(examples).toHaveLength(5);
  for (const { path, method, example, schema } of examples) {
    expect(compiled(document, schema)(example), path).toBe(true);
    const url = path.includes('{sub}')
      ? path.replace('{sub}', 'alice')
      : `${path}${path === '/v1/users' ? '?sub=alice' : ''}`;
    const request = { method: method.toUpperCase() as 'POST', url, headers: basic(CLIENT), payload: example };
    const { statusCode } = await app.inject(request);
    expect([method, path, statusCode < 300]).toEqual([method, path, true]);
  }
});

test('anyone can read it', async () => {
  const { app } = await open();
  const answer = await app.inject('/openapi.json');
  expect([answer.statusCode, answer.headers['content-type']]).toEqual([
    200,
    'application/json; charset=utf-8',
  ]);
});
