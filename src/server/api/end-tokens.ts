import type { FastifyPluginCallback, FastifyRequest } from 'fastify';
import { isJti, parseJti } from '../../domain/model/jti.js';
import { readPairs, type TokenMeta } from '../../domain/model/token-meta.js';
import { revokeSubject, revokeToken, type SubjectSelection } from '../../domain/tokens/revoke.js';
import { revokeSelected } from '../../domain/tokens/revoke-selected.js';
import type { ApiOptions } from './api-options.js';
import { actorOf, clientOf } from './authentication.js';
import { invalidRequest } from './failures.js';
import {
  END_QUERY,
  END_QUERY_WITH_SUB,
  ENDED_TOKENS,
  type EndQuery,
  LIST_QUERY,
  LIST_QUERY_WITH_SUB,
} from './schemas.js';
import { subjectOf } from './subject.js';
import { validQuery } from './validation.js';

const OPTIONS = { reason: null, dryRun: false };

/** `DELETE /v1/users/{sub}/tokens` and `DELETE /v1/users/{sub}/tokens/{jti}`, also as `/v1/tokens…?sub=`. */
export const endTokens: FastifyPluginCallback<ApiOptions> = (app, { services, log, metrics }, done) => {
  const { administrationBy, lifetime } = services;

  const endSome = async (request: FastifyRequest) => {
    const startedAt = performance.now();
    const sub = subjectOf(request);
    const ports = administrationBy(actorOf(clientOf(request)));
    const selected = selectionOf(request.query as EndQuery, ports.clock.now());
    const outcome =
      'where' in selected
        ? await revokeSelected(ports, lifetime, { sub, ...selected }, OPTIONS)
        : await revokeSubject(ports, lifetime, { sub, ...selected }, OPTIONS);
    metrics.revoked(outcome.revoked);
    log(request, { status: 200, code: 'revoked', startedAt });
    return outcome;
  };

  const endOne = async (request: FastifyRequest) => {
    const startedAt = performance.now();
    const sub = subjectOf(request);
    const jti = parseJti((request.params as { jti: string }).jti);
    const ports = administrationBy(actorOf(clientOf(request)));
    const outcome = await revokeToken(ports, lifetime, { sub, jti }, OPTIONS);
    metrics.revoked(outcome.revoked);
    log(request, { status: 200, code: 'revoked', startedAt });
    return outcome;
  };

  const config = { right: 'revoke', concernsAllAudiences: true } as const;
  for (const [url, query, handler] of [
    ['/v1/users/:sub/tokens', END_QUERY, endSome],
    ['/v1/tokens', END_QUERY_WITH_SUB, endSome],
    ['/v1/users/:sub/tokens/:jti', LIST_QUERY, endOne],
    ['/v1/tokens/:jti', LIST_QUERY_WITH_SUB, endOne],
  ] as const) {
    const { schema, schemaErrorFormatter } = validQuery(query);
    const options = { config, schema: { ...schema, response: { 200: ENDED_TOKENS } }, schemaErrorFormatter };
    app.delete(url, options, handler);
  }
  done();
};

type Selected = { where: TokenMeta } | Pick<SubjectSelection, 'except' | 'issuedBefore'>;

function selectionOf({ all, except, issuedBefore, where }: EndQuery, now: number): Selected {
  const given = [all, except, issuedBefore, where].filter((value) => value !== undefined);
  if (given.length !== 1)
    throw invalidRequest(
      'all',
      'The query needs exactly one of all=true, except=JTI, issuedBefore=TIME, or where=NAME=VALUE.',
    );
  if (except !== undefined) {
    if (!isJti(except)) throw invalidRequest('except', 'The value of except is not a jti.');
    return { except };
  }
  if (where !== undefined) return { where: readPairs([where].flat(), REFUSED_PAIRS) };
  if (issuedBefore === undefined) return {};
  if (Number(issuedBefore) > now)
    throw invalidRequest(
      'issuedBefore',
      'The time in issuedBefore is in the future: only existing tokens can be ended.',
    );
  return { issuedBefore: Number(issuedBefore) };
}

const REFUSED_PAIRS = {
  form: () => {
    throw invalidRequest('where', 'The value of where does not have the form name=value.');
  },
  repetition: () => {
    throw invalidRequest('where', 'The query has two values for one name in where.');
  },
};
