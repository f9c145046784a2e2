import type { FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify';
import { parseNewSubject } from '../../domain/model/subject.js';
import type { User } from '../../domain/ports/index.js';
import { JwtctlError } from '../../domain/shared/errors.js';
import { parseReason, parseUserName } from '../../domain/shared/text.js';
import { ensureUser, found, removeUser, renameUser, setUserStatus } from '../../domain/users/manage.js';
import { refreshUser } from '../../domain/users/refresh.js';
import type { ApiOptions } from './api-options.js';
import { actorOf, clientOf } from './authentication.js';
import { invalidRequest } from './failures.js';
import { parsed, secondsOf } from './members.js';
import {
  LIST_QUERY,
  LIST_QUERY_WITH_SUB,
  REFRESHED_USER,
  REMOVED_USER,
  USER,
  USER_BODY,
  USER_CHANGE_BODY,
  type UserBody,
  type UserChangeBody,
} from './schemas.js';
import type { ApiServices } from './services.js';
import { subjectOf } from './subject.js';
import { validBodyAndQuery, validQuery } from './validation.js';

/** `PUT`, `PATCH`, and `DELETE /v1/users/{sub}`, and `POST /v1/users/{sub}/refresh`, also as `/v1/users…?sub=`. */
export const users: FastifyPluginCallback<ApiOptions> = (app, { services, log, metrics }, done) => {
  const { administrationBy, lifetime, users: directory, usersSource } = services;
  const opened = (request: FastifyRequest) => {
    assertManaged(services);
    return { sub: subjectOf(request), ports: administrationBy(actorOf(clientOf(request))) };
  };

  /** Adds the user if missing, and sets the name. Leaves the status: a repeated sign-up must not lift a ban. */
  const put = async (request: FastifyRequest, reply: FastifyReply) => {
    const startedAt = performance.now();
    const { sub, ports } = opened(request);
    const name = nameIn(request.body as UserBody | null);
    const known = await ports.database.users.find(sub);
    const { isNew } = known === null ? await ensureUser(ports, parseNewSubject(sub), name) : { isNew: false };
    const user =
      name === undefined
        ? (known ?? found(await ports.database.users.find(sub), sub))
        : await renameUser(ports, { sub, name });
    const status = isNew ? 201 : 200;
    log(request, { status, code: isNew ? 'added' : 'renamed', startedAt });
    return reply.code(status).send(shown(user));
  };

  const patch = async (request: FastifyRequest) => {
    const startedAt = performance.now();
    const { sub, ports } = opened(request);
    const body = request.body as UserChangeBody;
    const { status } = body;
    const forSeconds = secondsOf(body.for, 'for');
    const reason =
      body.reason === undefined ? null : parsed('reason', () => parseReason(String(body.reason)));
    const name = nameIn(body);
    if (status === undefined && name === undefined)
      throw invalidRequest('status', 'The body needs a status or a name.');
    if (status === undefined && reason !== null)
      throw invalidRequest('reason', 'The body has a reason, but no status.');
    if (status !== 'disabled' && forSeconds !== undefined)
      throw invalidRequest('for', 'The member for is allowed only with the status disabled.');
    let user = null;
    if (status !== undefined)
      ({ user } = await setUserStatus(ports, lifetime, { sub, status, forSeconds, reason, dryRun: false }));
    if (name !== undefined) user = await renameUser(ports, { sub, name });
    log(request, { status: 200, code: status ?? 'renamed', startedAt });
    return user && shown(user);
  };

  const remove = async (request: FastifyRequest) => {
    const startedAt = performance.now();
    const { sub, ports } = opened(request);
    const { revoked } = await removeUser(ports, lifetime, { sub, reason: null, dryRun: false });
    metrics.revoked(revoked);
    log(request, { status: 200, code: 'removed', startedAt });
    return { revoked };
  };

  const refresh = async (request: FastifyRequest) => {
    const startedAt = performance.now();
    if (usersSource === 'off') assertManaged(services);
    const ports = { ...administrationBy(actorOf(clientOf(request))), users: directory };
    const isManaged = usersSource === 'managed';
    const refreshed = await refreshUser(ports, lifetime, {
      sub: subjectOf(request),
      isManaged,
      dryRun: false,
    });
    log(request, { status: 200, code: 'refreshed', startedAt });
    return refreshed;
  };

  const config = { right: 'users', concernsAllAudiences: true } as const;
  for (const [url, query] of [
    ['/v1/users/:sub', LIST_QUERY],
    ['/v1/users', LIST_QUERY_WITH_SUB],
  ] as const) {
    for (const [method, body, handler] of [
      ['PUT', USER_BODY, put],
      ['PATCH', USER_CHANGE_BODY, patch],
    ] as const) {
      const { schema, schemaErrorFormatter } = validBodyAndQuery(body, query);
      const response = method === 'PUT' ? { 200: USER, 201: USER } : { 200: USER };
      const options = { config, schema: { ...schema, response }, schemaErrorFormatter };
      app.route({ method, url, handler, ...options });
    }
    const { schema, schemaErrorFormatter } = validQuery(query);
    const options = { config, schema: { ...schema, response: { 200: REMOVED_USER } }, schemaErrorFormatter };
    app.delete(url, options, remove);
  }
  for (const [url, query] of [
    ['/v1/users/:sub/refresh', LIST_QUERY],
    ['/v1/users/refresh', LIST_QUERY_WITH_SUB],
  ] as const) {
    const { schema, schemaErrorFormatter } = validQuery(query);
    const options = {
      config,
      schema: { ...schema, response: { 200: REFRESHED_USER } },
      schemaErrorFormatter,
    };
    app.post(url, options, refresh);
  }
  done();
};

function shown(user: User) {
  return { ...user, disabledUntil: user.disabledUntil ?? null };
}

/** @throws JwtctlError `ERR_USERS_NOT_MANAGED` (state) */
export function assertManaged({ usersSource }: Pick<ApiServices, 'usersSource'>): void {
  if (usersSource === 'managed') return;
  throw new JwtctlError(
    'ERR_USERS_NOT_MANAGED',
    'Users cannot be changed here: jwtctl does not manage them.',
  );
}

/** Undefined leaves the name as it is. */
function nameIn(body: UserBody | null): string | null | undefined {
  const name = body?.name;
  return typeof name === 'string' ? parsed('name', () => parseUserName(name)) : name;
}
