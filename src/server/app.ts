import { METHODS, STATUS_CODES } from 'node:http';
import { type FastifyError, type FastifyInstance, type FastifyReply, fastify } from 'fastify';
import type { AppOptions, Readiness } from './app-options.js';
import { forwardAuth, forwardAuthUrl } from './forward-auth.js';
import { health } from './health.js';
import { introspection } from './introspection.js';
import { jwkSet } from './jwk-set.js';

const BODY_BYTES = 65_536;
/** From the first byte of a request to its last: who sends slower is up to something. */
const REQUEST_MS = 10_000;
/** Longer than proxies keep idle connections (nginx 60 s, Go's and so Traefik's 90 s): they close them, and no request meets a closed one. */
const KEEP_ALIVE_MS = 95_000;
/** A connection on which nothing moves at all. */
const IDLE_MS = 120_000;

/** The server's routes; it listens to nothing yet. */
export function createApp(options: AppOptions): FastifyInstance {
  const app = fastify({
    bodyLimit: BODY_BYTES,
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionTimeout: IDLE_MS,
    // Node looks for slow requests every 30 s by default.
    http: { headersTimeout: REQUEST_MS, connectionsCheckingInterval: REQUEST_MS / 4 },
    // What arrives while it closes is what it stays open for.
    return503OnClosing: false,
    rewriteUrl: forwardAuthUrl,
  });
  for (const method of METHODS) {
    if (method !== 'CONNECT' && !app.supportedMethods.includes(method)) {
      app.addHttpMethod(method, { hasBody: true });
    }
  }
  closeConnectionsOf(app, options.readiness);

  const { log } = options;
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const status = error.statusCode !== undefined && error.statusCode < 500 ? error.statusCode : 500;
    log(request, { status, code: codeOf(error), reason: error });
    sendError(reply, status);
  });
  app.setNotFoundHandler((request, reply) => {
    log(request, { status: 404, code: 'ERR_NO_ROUTE' });
    sendError(reply, 404);
  });

  app.register(forwardAuth, options);
  app.register(introspection, options);
  app.register(jwkSet, options);
  app.register(health, options);
  return app;
}

/** Fastify's own (`FST_ERR_…`), ours, or that of a defect. */
function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^(FST_)?ERR_\w+$/.test(code) ? code : 'ERR_BUG';
}

/** Once it stops, each connection ends with the answer that it is waiting for. */
function closeConnectionsOf(app: FastifyInstance, readiness: Readiness): void {
  app.server.prependListener('request', (_request, response) => {
    if (readiness.isStopping) response.shouldKeepAlive = false;
  });
}

function sendError(reply: FastifyReply, status: number): void {
  reply.code(status).send({ error: STATUS_CODES[status] ?? 'Error' });
}
