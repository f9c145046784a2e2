// @ts-check
/**
 * A Fastify handler that answers every request to `/verify` with the headers of an acceptance, and checks nothing; in as
 * many processes that share the port as the first argument says. Says `listening <port>` on standard error, each process
 * once.
 */
import cluster from 'node:cluster';
import { fastify } from 'fastify';

const workers = Number(process.argv[2]);

if (cluster.isPrimary) {
  for (let index = 0; index < workers; index++) cluster.fork();
} else {
  const app = fastify();
  const headers = {
    'cache-control': 'no-store',
    'x-auth-subject': 'user1@example.com',
    'x-auth-jti': 'A'.repeat(22),
  };
  app.get('/verify', async (_request, reply) => reply.code(200).headers(headers).send());
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = /** @type {import('node:net').AddressInfo} */ (app.server.address());
  process.stderr.write(`listening ${port}\n`);
}
