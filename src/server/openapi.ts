import { STATUS_CODES } from 'node:http';
import type { FastifyPluginCallback, RouteOptions } from 'fastify';
import * as schemas from './api/schemas.js';
import { OPERATIONS, type Operation } from './openapi-operations.js';
import { pathTemplate } from './route-list.js';

/** `/openapi.json`: an OpenAPI 3.1 document of the routes, made from the schemas that validate them. */
export const openApi: FastifyPluginCallback<{ routes: readonly RouteOptions[] }> = (
  app,
  { routes },
  done,
) => {
  let document: string | undefined;
  app.get('/openapi.json', (_request, reply) => {
    document ??= JSON.stringify(documentOf(routes));
    reply.header('cache-control', 'public, max-age=300').type('application/json').send(document);
  });
  done();
};

type Json = Record<string, unknown>;
type Schema = Readonly<Json> & {
  properties?: Readonly<Record<string, unknown>>;
  required?: readonly string[];
};

/** The names of the schemas are part of the API: clients are generated from them. */
const NAMED = {
  IssueRequest: schemas.ISSUE_BODY,
  IssuedToken: schemas.ISSUED_TOKEN,
  RefreshedToken: schemas.REFRESHED_TOKEN,
  TokenList: schemas.TOKEN_LIST,
  EndedTokens: schemas.ENDED_TOKENS,
  UserRequest: schemas.USER_BODY,
  UserChange: schemas.USER_CHANGE_BODY,
  User: schemas.USER,
  RemovedUser: schemas.REMOVED_USER,
  RefreshedUser: schemas.REFRESHED_USER,
  Error: {
    ...{ type: 'object', required: ['error', 'code', 'message'] },
    properties: {
      error: { type: 'string', description: 'the status in words' },
      code: { type: 'string', description: 'a code of docs/errors.md' },
      message: { type: 'string' },
      field: { type: 'string', description: 'the member of the body or the query that must change' },
    },
  },
  OauthError: {
    ...{ type: 'object', required: ['error'] },
    properties: { error: { type: 'string' }, error_description: { type: 'string' } },
  },
  Denial: {
    ...{ type: 'object', required: ['error'] },
    properties: { error: { type: 'string' }, code: { type: 'string' } },
  },
} as const satisfies Record<string, Schema>;

const API_ERRORS = [400, 401, 403, 413, 415, 422, 429, 500, 503];
const OAUTH_ERRORS = API_ERRORS.filter((status) => status !== 403 && status !== 422);

function documentOf(routes: readonly RouteOptions[]): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    for (const method of [route.method].flat()) {
      const operation = OPERATIONS[`${method} ${route.url}`];
      if (operation === undefined) continue;
      const path = pathTemplate(route.url);
      paths[path] = { ...paths[path], [method.toLowerCase()]: operationOf(route, operation) };
    }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'jwtctl', version: '1', description: 'Issues, verifies, and ends tokens.' },
    paths,
    components: {
      schemas: NAMED,
      securitySchemes: {
        client: { type: 'http', scheme: 'basic', description: 'an application in serve.clients' },
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      },
    },
  };
}

function operationOf({ url, schema, config }: RouteOptions, operation: Operation): Json {
  const { id, summary, form, isForBearer, example } = operation;
  const {
    body,
    querystring,
    response = {},
  } = (schema ?? {}) as {
    body?: Schema;
    querystring?: Schema;
    response?: Readonly<Record<string, Schema>>;
  };
  const inPath = [...url.matchAll(/:(\w+)/g)].map(([, name = '']) => ({
    ...{ name, in: 'path', required: true, schema: { type: 'string' } },
  }));
  const inQuery = Object.entries(querystring?.properties ?? {}).map(([name, one]) => ({
    ...{ name, in: 'query', required: querystring?.required?.includes(name) === true, schema: one },
  }));
  const parameters = [...inPath, ...inQuery];
  const hasClient = config?.right !== undefined;
  const security = hasClient ? [{ client: [] }] : isForBearer ? [{ bearer: [] }] : [];
  return {
    ...{ operationId: id, summary, security },
    ...(config?.right === undefined ? {} : { description: `The client needs the right ${config.right}.` }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: content('application/json', body, example) }),
    ...(form === undefined ? {} : { requestBody: content(FORM, formSchema(form)) }),
    responses: {
      ...Object.fromEntries(
        Object.entries(response).map(([status, one]) => [status, answer(status, 'application/json', one)]),
      ),
      ...errorsOf(operation, hasClient ? (config.isOauth === true ? 'OauthError' : 'Error') : 'Denial'),
      ...Object.fromEntries(
        Object.entries(operation.answers ?? {}).map(([status, type]) => [status, answer(status, type)]),
      ),
    },
  };
}

function errorsOf({ errors = [], isForBearer }: Operation, name: keyof typeof NAMED): Json {
  const usual = {
    Error: API_ERRORS,
    OauthError: OAUTH_ERRORS,
    Denial: isForBearer ? [401, 500, 503] : [500, 503],
  };
  const statuses = [...((usual as Record<string, number[]>)[name] ?? []), ...errors];
  return Object.fromEntries(
    statuses.map((status) => [status, answer(status, 'application/json', NAMED[name])]),
  );
}

const FORM = 'application/x-www-form-urlencoded';

function formSchema(form: Readonly<Record<string, string>>): Schema {
  const properties = Object.entries(form).map(([name, description]) => [
    name,
    { type: 'string', description },
  ]);
  return { type: 'object', required: Object.keys(form), properties: Object.fromEntries(properties) };
}

function answer(status: number | string, type: string | null, schema?: Schema): Json {
  const description = STATUS_CODES[status] ?? 'Answer';
  return type === null ? { description } : { description, ...content(type, schema) };
}

function content(type: string, schema?: Schema, example?: Readonly<Json>): Json {
  const shown = schema === undefined ? {} : { schema: named(schema) };
  return { content: { [type]: { ...shown, ...(example === undefined ? {} : { example }) } } };
}

function named(schema: Schema): Schema {
  const name = Object.entries(NAMED).find(([, one]) => one === schema)?.[0];
  return name === undefined ? schema : { $ref: `#/components/schemas/${name}` };
}
