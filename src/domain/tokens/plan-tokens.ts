import { findActiveKey, noActiveKey } from '../keys/find-key.js';
import { openPrivateKey } from '../keys/open-private-key.js';
import { familyJti } from '../model/family.js';
import { newRandomId } from '../model/random-id.js';
import type { SigningKey } from '../model/signing-key.js';
import { parseNewSubject } from '../model/subject.js';
import type {
  Clock,
  Database,
  EntryStore,
  Sealer,
  TokenStatusReader,
  UserDirectory,
} from '../ports/index.js';
import type { DatabaseGuard } from '../recovery/database-guard.js';
import { RegistrationPlan } from '../registry/registration-plan.js';
import { readEvents } from '../security-log/revocation-index.js';
import { JwtctlError } from '../shared/errors.js';
import type { Claims } from '../verification/check-claims.js';
import { type Draft, forEachDraft, type Outcomes, subjectsOf, tokensOf } from './issue-drafts.js';
import { issuableFrom, LONGEST_WAIT_SECONDS, revokedAhead } from './revoked-ahead.js';
import { claimsSet, type IssuerPolicy } from './token-request.js';
import { claimsOf, requireEnabled } from './token-user.js';

export interface PlannedToken {
  kid: string;
  payload: Claims;
}

export interface PlannerPorts {
  database: Pick<Database, 'keys' | 'securityLog'>;
  registry: EntryStore & TokenStatusReader;
  sealer: Sealer;
  users: UserDirectory;
  guard: Pick<DatabaseGuard, 'assertCurrent'>;
  clock: Clock;
  /** Whether unknown subjects are added. */
  addUsers?: unknown;
}

/** Predicts what an issuance would return. Earlier predictions count toward the limit. */
export class TokenPlanner {
  readonly #ports: PlannerPorts;
  readonly #policy: IssuerPolicy;
  readonly #registrations: RegistrationPlan;
  /** The key whose private key was opened. Not opened again, because a vault may be slow. */
  #checkedKey: SigningKey | null = null;

  constructor(ports: PlannerPorts, policy: IssuerPolicy) {
    this.#ports = ports;
    this.#policy = policy;
    this.#registrations = new RegistrationPlan(ports.registry);
  }

  /** @throws JwtctlError `ERR_NO_ACTIVE_KEY` (state); errors of the stores */
  async plan(drafts: readonly Draft[], outcomes: Outcomes<PlannedToken>): Promise<void> {
    const { users, addUsers, clock, database, guard } = this.#ports;
    await guard.assertCurrent();
    const { id: keyId, kid } = await this.#activeKey();
    const [found, events] = await Promise.all([
      users.findMany(subjectsOf(drafts)),
      readEvents(database.securityLog, tokensOf(drafts)),
    ]);
    if (events.isCompromised(kid)) throw noActiveKey();
    const now = clock.now();
    const planned = forEachDraft(drafts, outcomes, (draft) => {
      const { request } = draft;
      const user = found.get(request.sub);
      if (user !== undefined || addUsers === undefined) requireEnabled(user, request.sub, users);
      else parseNewSubject(request.sub);
      const from = issuableFrom(draft, events, kid);
      if (from > now + LONGEST_WAIT_SECONDS + 1) throw revokedAhead(request.sub, from - 1 - now);
      const jti = request.refresh === true ? familyJti(newRandomId(), 0) : undefined;
      const payload = claimsSet(request, this.#policy, now, user && claimsOf(user, this.#policy), jti);
      return { ...draft, payload };
    });
    const { maxPerSubject, onLimit } = this.#policy;
    const registered = await this.#registrations.predictMany(
      planned.map(({ payload: { sub, jti, iat, exp } }) => {
        return { sub, entry: { jti, keyId, iat, exp }, now, maxPerSubject, onLimit };
      }),
    );
    for (const [position, { index, payload }] of planned.entries()) {
      const outcome = registered[position];
      outcomes[index] = outcome instanceof JwtctlError ? outcome : { kid, payload };
    }
  }

  async #activeKey(): Promise<SigningKey> {
    const key = await findActiveKey(this.#ports.database);
    if (this.#checkedKey?.kid !== key.kid) await openPrivateKey(this.#ports, key);
    this.#checkedKey = key;
    return key;
  }
}
