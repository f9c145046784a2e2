import type { Settings } from '../../../config/settings.js';
import type { Status } from '../../../domain/doctor/read-status.js';
import { nameVerifiers } from '../../../domain/fleet/running-verifiers.js';
import { ERROR_CODES } from '../../../domain/shared/error-catalog/index.js';
import type { JwtctlError } from '../../../domain/shared/errors.js';
import { pluralize } from '../../../domain/shared/pluralize.js';
import { socketPath } from '../../../domain/shared/socket-path.js';
import { asSentence } from '../../../domain/shared/text.js';
import { isoTime, relativeTime } from '../time.js';
import type { Text, View } from '../view.js';
import { nodeNotes } from './cache/nodes.js';
import { verifierData } from './fleet.js';

export function installationStatus(status: Status, settings: Settings) {
  const { problems } = status;
  const warnings = warningsOf(status);
  const [verdict, sign, tone] =
    problems.length > 0
      ? (['problems', '✗', 'bad'] as const)
      : warnings.length > 0
        ? (['warnings', '!', 'warn'] as const)
        : (['ok', '✓', 'good'] as const);
  const counts = [
    ...(problems.length === 0 ? [] : [pluralize(problems.length, 'problem')]),
    ...(warnings.length === 0 ? [] : [pluralize(warnings.length, 'warning')]),
  ];
  return {
    shape: 'record',
    id: verdict,
    data: { status: verdict, ...statusData(status, settings), warnings },
    fields: [
      ['status', { text: `${sign} ${counts.length === 0 ? 'ok' : counts.join(', ')}`, tone }],
      ['database', databaseText(settings)],
      ['schema', schemaText(status)],
      ['active key', activeKeyText(status)],
      ['next rotation', rotationText(status)],
      ['registry', registryText(status, settings)],
      ['live tokens', tokensText(status)],
      ['verifiers', verifiersText(status)],
      ...problems.map((problem) => ['problem', problemText(problem)] as const),
      ...warnings.map((text) => ['warning', { text, tone: 'warn' }] as const),
    ],
  } satisfies View;
}

function warningsOf({ warnings, nodes, tokens }: Status): string[] {
  const away = (nodes ?? []).filter(({ reachable }) => !reachable);
  return [
    ...warnings,
    ...away.map(({ node, role }) => `The ${role} ${node} does not respond.`),
    ...nodeNotes(nodes ?? []),
    ...(tokens?.missed ?? []).map((missed) => asSentence(`Not read: ${missed}`)),
  ];
}

const UNKNOWN: Text = { text: 'unknown', tone: 'bad' };

/** Without the user name and the password. */
function databaseText({ mysql, data }: Settings): string {
  if (mysql.url === null) return `the embedded store ${data}`;
  const socket = socketPath(mysql.url);
  return `MySQL at ${socket ?? new URL(mysql.url).host}, database ${databaseName(mysql.url)}`;
}

function databaseName(url: string): string {
  return decodeURIComponent(new URL(url).pathname.slice(1));
}

function schemaText({ schema }: Status): Text {
  if (schema === null) return UNKNOWN;
  const { applied, pending, unknown } = schema;
  if (unknown.length > 0) return { text: 'from a newer version of jwtctl', tone: 'bad' };
  if (pending.length > 0)
    return { text: `outdated: ${pluralize(pending.length, 'migration')} pending`, tone: 'bad' };
  return `current, ${pluralize(applied.length, 'migration')}`;
}

function activeKeyText({ keys, at }: Status): Text {
  if (keys === null) return UNKNOWN;
  const { active } = keys;
  if (active === null) return { text: 'none', tone: 'bad' };
  return `${active.kid}, ${active.alg}, activated ${relativeTime(active.activatedAt, at)}`;
}

function rotationText({ keys, at }: Status): Text {
  const next = keys?.nextRotation ?? null;
  if (next === null) return keys === null ? UNKNOWN : '-';
  const time = next.at <= at ? 'at the next run' : `${relativeTime(next.at, at)} (${isoTime(next.at)})`;
  return next.kid === null
    ? { text: `${time}, but no key is pending`, tone: 'warn' }
    : `${time}, to ${next.kid}`;
}

function registryText({ nodes }: Status, { redis }: Settings): Text {
  if (nodes === null) return UNKNOWN;
  if (redis.nodes === null) return 'in the embedded store';
  const away = nodes.filter(({ reachable }) => !reachable).length;
  const masters = nodes.filter(({ role }) => role === 'master').length;
  const kind = nodes.some(({ slots }) => slots !== null) ? 'Redis Cluster' : 'Redis';
  const text = `${kind}, ${pluralize(masters, 'master')} and ${pluralize(nodes.length - masters, 'replica')}`;
  return away === 0 ? text : { text: `${text}, ${away} not responding`, tone: 'bad' };
}

function tokensText({ tokens }: Status): Text {
  if (tokens === null) return UNKNOWN;
  const text = `${pluralize(tokens.entries, 'token')} of ${pluralize(tokens.subjects, 'user')}`;
  return tokens.complete ? text : { text: `at least ${text}`, tone: 'warn' };
}

function verifiersText({ fleet }: Status): Text {
  if (fleet === null || fleet.unavailableReason !== null) return UNKNOWN;
  const { verifiers } = fleet;
  return verifiers.length === 0 ? 'none running' : `${verifiers.length} running: ${nameVerifiers(verifiers)}`;
}

function problemText({ code, message, hint }: JwtctlError): Text {
  return { text: `${message} ${hint ?? ERROR_CODES[code].remedy} (${code})`, tone: 'bad' };
}

function statusData(status: Status, { mysql }: Settings) {
  const { at, schema, keys, nodes, tokens, fleet, problems } = status;
  const { active = null, nextRotation: next = null } = keys ?? {};
  return {
    at,
    database: { engine: mysql.url === null ? 'sqlite' : 'mysql' },
    schema: schema && {
      current: schema.pending.length === 0 && schema.unknown.length === 0,
      pending: schema.pending,
      unknown: schema.unknown,
    },
    activeKey: active && { kid: active.kid, alg: active.alg, activatedAt: active.activatedAt },
    pendingKeys: keys?.pending ?? null,
    nextRotation: next && { at: next.at, kid: next.kid },
    registry: nodes && {
      nodes: nodes.length,
      unreachable: nodes.filter(({ reachable }) => !reachable).map(({ node }) => node),
    },
    tokens: tokens && { tokens: tokens.entries, subjects: tokens.subjects, complete: tokens.complete },
    verifiers: fleet && fleet.unavailableReason === null ? fleet.verifiers.map(verifierData) : null,
    problems: problems.map(({ code, message, hint }) => ({
      ...{ code, message },
      hint: hint ?? ERROR_CODES[code].remedy,
    })),
  };
}
