import type { FastifyPluginCallback } from 'fastify';
import type { StoreHealth } from '../verifier/health.js';
import type { AppOptions } from './app-options.js';

/** `/healthz`: liveness. `/readyz`: readiness. `/metrics`: metrics for Prometheus. */
export const health: FastifyPluginCallback<AppOptions> = (app, options, done) => {
  const { verifier, readiness, metrics, metricsText } = options;
  app.get('/healthz', (_request, reply) => {
    reply.header('cache-control', 'no-store').send({ status: 'ok' });
  });

  app.get('/readyz', (_request, reply) => {
    const { isReady, database, registry } = verifier.health();
    const ready = isReady && !readiness.isStopping;
    reply
      .code(ready ? 200 : 503)
      .header('cache-control', 'no-store')
      .send({ ready, stopping: readiness.isStopping, database: shown(database), registry: shown(registry) });
  });

  app.get('/metrics', async (_request, reply) =>
    reply.header('content-type', metrics.registry.contentType).send(await metricsText()),
  );
  done();
};

function shown({ state, since, code }: StoreHealth): StoreHealth {
  return { state, since, code };
}
