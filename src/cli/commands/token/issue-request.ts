import type { Context } from '../../../app/context.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { TokenRequest } from '../../../domain/tokens/token-request.js';
import type { Invocation } from '../../invocation.js';
import type { RecordFormat } from '../../io.js';
import { checkAudience } from '../shared/audience-flag.js';
import type { ErrorPlace } from '../shared/bulk.js';
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
  };
}

export function assertMayCreateUsers({ settings }: Context): void {
  if (settings.users.source === 'managed') return;
  throw new JwtctlError('ERR_USERS_NOT_MANAGED', '--create-user requires users.source managed.');
}
