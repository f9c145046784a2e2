import { mapLines } from '../../../domain/batch/line-batches.js';
import { describeValue } from '../../../domain/shared/describe-value.js';
import { parseDuration } from '../../../domain/shared/duration.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import { excerpt } from '../../../domain/shared/text.js';
import type { TokenRequest } from '../../../domain/tokens/token-request.js';
import { openStoreBulkIssuer } from '../../../issuer/store-issuer.js';
import type { Invocation } from '../../invocation.js';
import type { Input } from '../../io.js';
import type { Outcome } from '../../output/view.js';
import { issuedItem, plannedItem } from '../../output/views/tokens.js';
import { streamThrough } from '../shared/bulk.js';
import { assertMayCreateUsers, type IssueFlags, sharedRequest } from './issue-request.js';

/** A token for each line of a file. The flags hold for every line that does not say otherwise. */
export async function issueMany(invocation: Invocation, flags: IssueFlags, file: string): Promise<Outcome> {
  if (file === '-' && flags.claims === '-') {
    throw new JwtctlError('ERR_FLAG_COMBINATION', '--sub-file and --claims cannot both be standard input.');
  }
  const shared = await sharedRequest(invocation, flags);
  const context = await invocation.context();
  if (flags.createUser === true) assertMayCreateUsers(context);
  const input = await invocation.openInput(file);
  const { issuer, close } = await openStoreBulkIssuer(context, { createUsers: flags.createUser === true });
  // What no line could have a token under is told before the first is read.
  issuer.validate({ ...shared, sub: 'any' });
  await issuer.open();
  const bulk = {
    action: 'token.issue',
    label: 'issuing',
    done: 'issued',
    input,
    source: requests(input, shared, flags.format),
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
        item: issuedItem,
      });
}

function requests(input: Input, shared: Omit<TokenRequest, 'sub'>, format: IssueFlags['format']) {
  return format === 'ndjson'
    ? mapLines(input.objects(), (line) => requestOf(line, shared))
    : mapLines(input.lines(), (sub): TokenRequest => ({ ...shared, sub }));
}

/** A member that is null is one that is not there. */
function requestOf(line: Record<string, unknown>, shared: Omit<TokenRequest, 'sub'>): TokenRequest {
  const { sub, aud, ttl, notBefore, claims, label, ...others } = line;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw unusable(
      `It has a member '${excerpt(unknown)}'; expected are sub, aud, ttl, notBefore, claims and label.`,
    );
  }
  if (typeof sub !== 'string') throw unusable(`Its sub is ${describeValue(sub)}; expected a string.`);
  const audiences = [aud ?? []].flat();
  if (!audiences.every((audience) => typeof audience === 'string')) {
    throw unusable(`Its aud is ${describeValue(aud)}; expected a string or an array of strings.`);
  }
  if (label != null && typeof label !== 'string')
    throw unusable(`Its label is ${describeValue(label)}; expected a string.`);
  return {
    ...shared,
    sub,
    ...(aud == null ? {} : { aud: audiences }),
    ...(ttl == null ? {} : { ttlSeconds: secondsOf(ttl, 'ttl') }),
    ...(notBefore == null ? {} : { notBeforeSeconds: secondsOf(notBefore, 'notBefore') }),
    ...(label == null ? {} : { label }),
    ...(claims == null ? {} : { claims: { ...shared.claims, ...objectOf(claims) } }),
  };
}

function secondsOf(value: unknown, member: string): number {
  if (typeof value === 'number' || typeof value === 'string') return parseDuration(String(value));
  throw unusable(
    `Its ${member} is ${describeValue(value)}; expected a number of seconds or a duration such as "15m".`,
  );
}

function objectOf(value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw unusable(`Its claims member is ${describeValue(value)}; expected an object.`);
}

function unusable(message: string): JwtctlError {
  return new JwtctlError('ERR_ROW_INVALID', message);
}
