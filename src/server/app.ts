import { METHODS, STATUS_CODES } from 'node:http';
import { type FastifyError, type FastifyInstance, type FastifyReply, fastify } from 'fastify';
import { api } from './api/index.js';
import { AJV_OPTIONS } from './api/validation.js';
import type { AppOptions } from './app-options.js';
import { discovery } from './discovery.js';
import { health } from './health.js';
import { jwkSet } from './jwk-set.js';
import { openApi } from './openapi.js';
import { newRequestIds } from './request-id.js';
import { collectRoutes } from './route-list.js';
import { forwardAuth, forwardAuthUrl } from './verify.js';

const BODY_BYTES = 65_536;
const REQUEST_MS = 10_000;
/** Longer than nginx (60 s) and Traefik (90 s) keep idle connections, so that they close them first. */
const KEEP_ALIVE_MS = 95_000;
const IDLE_MS = 120_000;

export function createApp(options: AppOptions): FastifyInstance {
  const { log, readiness, tls } = options;
  const timeouts = {
    // Node checks for slow requests only every 30 s by default.
    ...{ headersTimeout: REQUEST_MS, connectionsCheckingInterval: REQUEST_MS / 4 },
  };
  const app: FastifyInstance = fastify({
    bodyLimit: BODY_BYTES,
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionTimeout: IDLE_MS,
    ...(tls === null ? { http: timeouts } : { https: { ...timeouts, ...tls } as never }),
    genReqId: newRequestIds(),
    ajv: { customOptions: AJV_OPTIONS },
    // A subject of 255 bytes, percent-encoded.
    routerOptions: { maxParamLength: 3 * 255 },
    // The server stays open while closing to serve these requests.
    return503OnClosing: false,
    rewriteUrl: forwardAuthUrl,
    clientErrorHandler: options.onClientError,
  });
  for (const method of METHODS) {
    if (method !== 'CONNECT' && !app.supportedMethods.includes(method)) {
      app.addHttpMethod(method, { hasBody: true });
    }
  }
  // While stopping, closes each connection after its current response.
  app.server.prependListener('request', (_request, response) => {
    if (readiness.isStopping) response.shouldKeepAlive = false;
  });
  app.decorateRequest('client', null);
  app.addHook('onSend', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
  const { tracing } = options;
  // After the body was read, because its events have another asynchronous context.
  if (tracing !== null)
    app.addHook('preHandler', ({ headers }, _reply, done) => tracing.continueTrace(headers, done));
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const status = error.statusCode !== undefined && error.statusCode < 500 ? error.statusCode : 500;
    log(request, { status, code: codeOf(error), reason: error });
    sendError(reply, status);
  });
  app.setNotFoundHandler((request, reply) => {
    log(request, { status: 404, code: 'ERR_NO_ROUTE' });
    sendError(reply, 404);
  });

  const routes = collectRoutes(app);
  app.register(forwardAuth, options);
  app.register(api, options);
  app.register(jwkSet, options);
  app.register(discovery, options);
  app.register(health, options);
  app.register(openApi, { routes });
  return app;
}

/** Returns Fastify's code (`FST_ERR_…`), a code of jwtctl, or ERR_BUG for a defect. */
function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^(FST_)?ERR_\w+$/.test(code) ? code : 'ERR_BUG';
}

function sendError(reply: FastifyReply, status: number): void {
  reply.code(status).send({ error: STATUS_CODES[status] ?? 'Error' });
}
