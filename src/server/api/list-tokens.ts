import type { FastifyPluginCallback, FastifyRequest } from 'fastify';
import { listTokens as list } from '../../domain/registry/list-tokens.js';
import type { ApiOptions } from './api-options.js';
import { actorOf, clientOf } from './authentication.js';
import { LIST_QUERY, LIST_QUERY_WITH_SUB, TOKEN_LIST } from './schemas.js';
import { subjectOf } from './subject.js';
import { validQuery } from './validation.js';

/** `GET /v1/users/{sub}/tokens`, also as `/v1/tokens?sub=`. */
export const listTokens: FastifyPluginCallback<ApiOptions> = (app, { services, log }, done) => {
  const handler = async (request: FastifyRequest) => {
    const startedAt = performance.now();
    const sub = subjectOf(request);
    const { database, registry, clock } = services.administrationBy(actorOf(clientOf(request)));
    const [tokens, { keys }] = await Promise.all([
      list(registry, sub, clock.now()),
      database.keys.snapshot(),
    ]);
    const kids = new Map(keys.map(({ id, kid }) => [id, kid]));
    log(request, { status: 200, code: 'listed', startedAt });
    return tokens.map(({ lastSeen = null, isIdle: idle, ...token }) => ({
      ...{ ...token, lastSeen, idle, kid: kids.get(token.keyId) ?? null },
    }));
  };
  const config = { right: 'read', concernsAllAudiences: true } as const;
  for (const [url, query] of [
    ['/v1/users/:sub/tokens', LIST_QUERY],
    ['/v1/tokens', LIST_QUERY_WITH_SUB],
  ] as const) {
    const { schema, schemaErrorFormatter } = validQuery(query);
    app.get(
      url,
      { config, schema: { ...schema, response: { 200: TOKEN_LIST } }, schemaErrorFormatter },
      handler,
    );
  }
  done();
};
