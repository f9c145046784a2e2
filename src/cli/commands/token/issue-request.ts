import type { Context } from '../../../app/context.js';
import { parseSubject } from '../../../domain/model/subject.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { TokenRequest } from '../../../domain/tokens/token-request.js';
import type { Invocation } from '../../invocation.js';
import type { RecordFormat } from '../../io.js';
import { checkAudience } from '../shared/audience-flag.js';
import type { ErrorPlace } from '../shared/bulk.js';
import { contradiction } from '../shared/flags.js';
import { parseNameValues } from '../shared/name-value.js';
import { parseClaims } from './claims-flags.js';

export interface IssueFlags {
  sub?: string;
  subFile?: string;
  format?: RecordFormat;
  errors?: ErrorPlace;
  aud?: string[];
  ttl?: number;
  notBefore?: number;
  claim?: string[];
  claims?: string;
  meta?: string[];
  refresh?: true;
  clientId?: string;
  act?: string;
  reason?: string;
  createUser?: true;
}

export async function sharedRequest(
  invocation: Invocation,
  flags: IssueFlags,
): Promise<Omit<TokenRequest, 'sub'>> {
  return {
    claims: await parseClaims(invocation, flags),
    aud: flags.aud?.map((aud) => checkAudience(aud, invocation.caution)),
    ttlSeconds: flags.ttl,
    notBeforeSeconds: flags.notBefore,
    meta: flags.meta && parseNameValues('--meta', flags.meta),
    refresh: flags.refresh,
    clientId: flags.clientId,
    act: actorOf(flags),
  };
}

function actorOf({ act, reason, subFile }: IssueFlags): TokenRequest['act'] {
  if (act === undefined && reason === undefined) return undefined;
  if (act === undefined) throw contradiction('--reason requires --act.');
  if (reason === undefined) throw contradiction('--act requires --reason.');
  if (subFile !== undefined)
    throw contradiction('--act requires --sub: an operator acts as one user at a time.');
  return { sub: parseSubject(act), reason };
}

/** Says that the client ID, which only at+jwt tokens and refresh tokens have, is in none of the tokens. */
export function cautionUnusedClient(
  { caution }: Pick<Invocation, 'caution'>,
  { clientId, refresh }: IssueFlags,
  { settings }: Context,
): void {
  if (clientId === undefined || refresh === true || settings.token.type === 'at+jwt') return;
  caution(`token.type is ${settings.token.type}, so --client-id has no effect without --refresh.`);
}

export function assertMayCreateUsers({ settings }: Context): void {
  if (settings.users.source === 'managed') return;
  throw new JwtctlError('ERR_USERS_NOT_MANAGED', '--create-user requires users.source managed.');
}
