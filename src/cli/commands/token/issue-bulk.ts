import { mapLines } from '../../../domain/batch/line-batches.js';
import { isMeta } from '../../../domain/model/token-meta.js';
import { describeValue } from '../../../domain/shared/describe-value.js';
import { parseDuration } from '../../../domain/shared/duration.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { excerpt } from '../../../domain/shared/text.js';
import type { TokenRequest } from '../../../domain/tokens/token-request.js';
import { openStoreBulkIssuer } from '../../../issuer/store-issuer.js';
import type { Invocation } from '../../invocation.js';
import type { Outcome } from '../../output/view.js';
import { issuedItem, plannedItem } from '../../output/views/tokens.js';
import { streamThrough, tokenWords } from '../shared/bulk.js';
import {
  assertMayCreateUsers,
  cautionUnusedClient,
  type IssueFlags,
  sharedRequest,
} from './issue-request.js';
import { LongTokens } from './long-tokens.js';

export async function issueMany(invocation: Invocation, flags: IssueFlags, file: string): Promise<Outcome> {
  if (file === '-' && flags.claims === '-') {
    throw new JwtctlError('ERR_FLAG_COMBINATION', '--sub-file and --claims cannot both read standard input.');
  }
  const shared = await sharedRequest(invocation, flags);
  const context = await invocation.context();
  cautionUnusedClient(invocation, flags, context);
  if (flags.createUser === true) assertMayCreateUsers(context);
  const input = await invocation.openInput(file);
  const { issuer, close } = await openStoreBulkIssuer(context, { createUsers: flags.createUser === true });
  // Reports faults of the flags before the first line is read.
  issuer.validate({ ...shared, sub: 'any' });
  if (!invocation.globals.dryRun) await issuer.open();
  const records = await input.records(SUBJECTS, flags.format);
  const long = new LongTokens();
  const bulk = {
    action: 'token.issue',
    label: 'issuing',
    ...tokenWords('issued', invocation.globals),
    errors: flags.errors,
    input,
    source: mapLines(records, (line) => requestOf(line, shared)),
    close,
  };
  return invocation.globals.dryRun
    ? streamThrough(invocation, context, {
        ...bulk,
        work: (some) => issuer.planMany(some),
        item: plannedItem,
      })
    : streamThrough(invocation, context, {
        ...bulk,
        work: (some) => issuer.issueMany(some),
        item: (issued) => {
          long.add(issued.token);
          return issuedItem(issued);
        },
        also: () => ({ sentences: long.warnings(), data: {} }),
      });
}

const SUBJECTS = {
  plural: 'subjects',
  required: ['sub'],
  optional: ['name', 'aud', 'ttl', 'notBefore'],
} as const;

/** The name is in the lists that `users import` reads. */
const MEMBERS: ReadonlySet<string> = new Set([
  ...SUBJECTS.required,
  ...SUBJECTS.optional,
  ...['claims', 'meta'],
]);

function requestOf(line: Record<string, unknown>, shared: Omit<TokenRequest, 'sub'>): TokenRequest {
  const unknown = Object.keys(line).find((member) => !MEMBERS.has(member));
  if (unknown !== undefined) {
    throw unusable(
      `The member '${excerpt(unknown)}' is unknown. Expected: sub, aud, ttl, notBefore, claims, meta.`,
    );
  }
  const { sub, aud, ttl, notBefore, claims, meta } = line;
  if (typeof sub !== 'string') throw unusable(`The sub is ${describeValue(sub)}; expected a string.`);
  const audiences = [aud ?? []].flat();
  if (!audiences.every((audience) => typeof audience === 'string')) {
    throw unusable(`The aud is ${describeValue(aud)}; expected a string or an array of strings.`);
  }
  if (meta != null && !isMeta(meta))
    throw unusable(`The meta is ${describeValue(meta)}; expected an object whose members are strings.`);
  const request: TokenRequest = { ...shared, sub };
  if (aud != null) request.aud = audiences;
  if (ttl != null) request.ttlSeconds = parseDuration(ttl, 'ttl');
  if (notBefore != null) request.notBeforeSeconds = parseDuration(notBefore, 'notBefore');
  if (meta != null) request.meta = { ...shared.meta, ...meta };
  if (claims != null) request.claims = { ...shared.claims, ...objectOf(claims) };
  return request;
}

function objectOf(value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw unusable(`The claims member is ${describeValue(value)}; expected an object.`);
}

function unusable(message: string): JwtctlError {
  return new JwtctlError('ERR_ROW_INVALID', message);
}
