import type { FastifyPluginCallback } from 'fastify';
import { parseNewSubject } from '../../domain/model/subject.js';
import type { Administration } from '../../domain/ports/index.js';
import type { TokenRequest } from '../../domain/tokens/token-request.js';
import { ensureUser } from '../../domain/users/manage.js';
import type { ApiOptions } from './api-options.js';
import { actorOf, clientOf, forbidden, mayUseAudience } from './authentication.js';
import { secondsOf } from './members.js';
import { ISSUE_BODY, ISSUED_TOKEN, type IssueBody } from './schemas.js';
import { assertManaged } from './users.js';
import { validBody } from './validation.js';

/** `POST /v1/tokens`: the log-in. */
export const issueToken: FastifyPluginCallback<ApiOptions> = (app, { services, log, metrics }, done) => {
  const { issuer, administrationBy, defaultAudience } = services;
  const { schema, schemaErrorFormatter } = validBody(ISSUE_BODY);
  app.post<{ Body: IssueBody }>(
    '/v1/tokens',
    {
      config: { right: 'issue' },
      schema: { ...schema, response: { 201: ISSUED_TOKEN } },
      schemaErrorFormatter,
    },
    async (request, reply) => {
      const startedAt = performance.now();
      const client = clientOf(request);
      const { createUser = false } = request.body;
      const wanted = requestOf(request.body, client.id);
      if (!mayUseAudience(client, wanted.aud ?? defaultAudience))
        throw forbidden('The client is not allowed to issue tokens for this audience.');
      if (createUser && !client.may.has('users'))
        throw forbidden('createUser requires the right "users", which the client lacks.');
      if (createUser) assertManaged(services);
      issuer.validate(wanted);
      const actor = actorOf(client);
      if (createUser) await createMissingUser(administrationBy(actor), wanted.sub);
      const issued = await issuer.issue(wanted, actor);
      metrics.issued();
      log(request, { status: 201, code: 'issued', startedAt });
      return reply.code(201).send({ ...issued, tokenType: 'Bearer' });
    },
  );
  done();
};

function requestOf(
  { sub, aud, ttl, notBefore, claims, meta, refresh }: IssueBody,
  clientId: string,
): TokenRequest {
  return {
    sub,
    aud: aud === undefined ? undefined : [aud].flat(),
    ttlSeconds: secondsOf(ttl, 'ttl'),
    notBeforeSeconds: secondsOf(notBefore, 'notBefore'),
    ...{ claims, meta, refresh },
    clientId,
  };
}

async function createMissingUser(ports: Administration, sub: string): Promise<void> {
  if ((await ports.database.users.find(sub)) !== null) return;
  await ensureUser(ports, parseNewSubject(sub));
}
