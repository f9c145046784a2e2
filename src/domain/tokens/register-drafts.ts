import { sessionLimit } from '../model/family.js';
import type {
  EntryStore,
  FamilyOutcome,
  FamilyStep,
  FamilyStore,
  Registration,
  TokenStatusReader,
} from '../ports/index.js';
import { advanceMany } from '../registry/advance-many.js';
import { registerMany } from '../registry/register-many.js';
import { removeNamedEntries } from '../registry/remove-named-entries.js';
import { tokenLimit } from '../registry/token-limit.js';
import { knownStatus } from '../security-log/cached-user-status.js';
import { JwtctlError, unreachable } from '../shared/errors.js';
import { ifReachable } from '../shared/unavailable.js';
import type { Signer } from './active-signer.js';
import { endMany, type FamilyEndPorts, familyEnd } from './end-family.js';
import { metaOf } from './impersonation.js';
import { type Draft, forEachDraft, type Outcomes, type SignedDraft } from './issue-drafts.js';
import { type RefreshTokenContents, refreshExpiry } from './refresh-token.js';
import type { IssuerPolicy } from './token-request.js';
import { sessionReused } from './use-refresh-token.js';

export interface DraftRegistryPorts extends Omit<FamilyEndPorts, 'registry'> {
  registry: EntryStore & FamilyStore & TokenStatusReader;
}

/** Signs drafts. Those that cannot be signed get an outcome. */
export type SignDrafts = (
  signer: Signer,
  drafts: readonly Draft[],
  now: number,
  outcomes: Outcomes<unknown>,
) => Promise<SignedDraft[]>;

/** Registers signed tokens, and makes the steps of their sessions. */
export class DraftRegistry {
  readonly #ports: DraftRegistryPorts;
  readonly #policy: IssuerPolicy;
  readonly #sign: SignDrafts;

  /** @param sign makes the token of a step again */
  constructor(ports: DraftRegistryPorts, policy: IssuerPolicy, sign: SignDrafts) {
    this.#ports = ports;
    this.#policy = policy;
    this.#sign = sign;
  }

  /** Returns the drafts whose tokens are registered. The others get an outcome. */
  async register(
    signer: Signer,
    drafts: readonly SignedDraft[],
    now: number,
    outcomes: Outcomes<unknown>,
  ): Promise<SignedDraft[]> {
    const plain = drafts.filter(({ session }) => session === undefined);
    const steps = drafts.flatMap((draft) => this.#step(signer, draft, now) ?? []);
    const isMixed = plain.length > 0 && steps.length > 0;
    // An unreachable master fails its own tokens. Those of the other kind may be registered already.
    const orOutcomes = async (some: readonly Draft[], registering: Promise<SignedDraft[]>) => {
      try {
        return await registering;
      } catch (error) {
        if (!isMixed || !(error instanceof JwtctlError) || error.kind !== 'unavailable') throw error;
        for (const { index } of some) outcomes[index] = error;
        return [];
      }
    };
    const sessions = steps.map(({ draft }) => draft);
    return [
      ...(await orOutcomes(plain, this.#registerEntries(signer, plain, now, outcomes))),
      ...(await orOutcomes(sessions, this.#advance(signer, steps, now, outcomes))),
    ];
  }

  /** Registers the tokens of sessions. A draft whose step was made before gets the token of that step. */
  async #advance(
    signer: Signer,
    steps: ReadonlyArray<{ draft: SignedDraft; step: FamilyStep }>,
    now: number,
    outcomes: Outcomes<unknown>,
  ): Promise<SignedDraft[]> {
    if (steps.length === 0) return [];
    const { registry } = this.#ports;
    const results = await advanceMany(
      registry,
      steps.map(({ step }) => step),
    );
    const reused: SignedDraft[] = [];
    const replayed: Draft[] = [];
    const drafts = steps.map(({ draft }) => draft);
    const advanced = forEachDraft(drafts, outcomes, (draft, position) => {
      const result = results[position] as FamilyOutcome | JwtctlError;
      if (result instanceof JwtctlError) throw result;
      switch (result.state) {
        case 'advanced':
          return [draft];
        case 'replayed':
          // The reply to this step was lost, and no client knows its family.
          if (draft.last === undefined) return [draft];
          this.#assertPlausible(result.iat, draft.last, now);
          replayed.push({ ...draft, replayedIat: result.iat });
          return [];
        case 'reused':
          reused.push(draft);
          throw sessionReused();
        case 'unknown':
          throw new JwtctlError('ERR_REFRESH_INVALID', 'The session of the refresh token does not exist.');
        case 'limited':
          throw tokenLimit(draft.request.sub, this.#policy);
        default:
          return unreachable(result);
      }
    }).flat();
    const failures = await this.#endReused(reused);
    // The session goes on, so the client must not be told that it has ended.
    for (const { index, session } of reused)
      outcomes[index] = failures.get(session?.family ?? '') ?? sessionReused();
    return [...advanced, ...(await this.#repeat(signer, replayed, now, outcomes))];
  }

  /** A client that can write to Redis must not choose the `iat` of a token: one in the future would outlive revocations. */
  #assertPlausible(iat: number, last: RefreshTokenContents, now: number): void {
    const { clockToleranceSeconds: tolerance } = this.#policy;
    if (last.iat - tolerance <= iat && iat <= now + tolerance) return;
    throw new JwtctlError('ERR_REFRESH_INVALID', 'The registry has an impossible time for the session.');
  }

  /** Makes the token of a step again. Its entry exists, unless another key signs by now. */
  async #repeat(
    signer: Signer,
    drafts: readonly Draft[],
    now: number,
    outcomes: Outcomes<unknown>,
  ): Promise<SignedDraft[]> {
    if (drafts.length === 0) return [];
    const signed = await this.#sign(signer, drafts, now, outcomes);
    return this.#registerEntries(signer, signed, now, outcomes);
  }

  async #registerEntries(
    signer: Signer,
    drafts: readonly SignedDraft[],
    now: number,
    outcomes: Outcomes<unknown>,
  ): Promise<SignedDraft[]> {
    const registrations = drafts.map((draft) => this.#registration(signer, draft, now));
    const registered = await registerMany(this.#ports.registry, registrations);
    return forEachDraft(drafts, outcomes, (draft, position) => {
      const outcome = registered[position];
      if (outcome instanceof JwtctlError) throw outcome;
      return draft;
    });
  }

  /** Returns, by family, why a session could not be ended. */
  #endReused(drafts: readonly SignedDraft[]): Promise<Map<string, JwtctlError>> {
    const ends = drafts.map(({ request: { sub }, session, actor }) => {
      const family = session?.family ?? '';
      const row = { action: 'token.refresh', outcome: 'reused', reason: 'A refresh token was used again.' };
      return [family, familyEnd({ sub, family, actor, ...row })] as const;
    });
    return endMany(this.#ports, this.#policy, new Map(ends));
  }

  #registration({ key }: Signer, draft: SignedDraft, now: number): Registration {
    const { statusTtlSeconds, maxPerSubject, onLimit } = this.#policy;
    const { request, user, claims, last } = draft;
    const { sub, jti, iat, exp } = claims;
    // A session that was admitted goes on, even if other tokens took its place while it had no live one.
    const isAdmitted = onLimit === 'refuse' && last !== undefined;
    return {
      sub,
      entry: { jti, keyId: key.id, iat, exp },
      now,
      meta: metaOf(request),
      maxPerSubject: isAdmitted ? undefined : maxPerSubject,
      onLimit: isAdmitted ? undefined : onLimit,
      user: knownStatus(user, now, statusTtlSeconds),
    };
  }

  #step(signer: Signer, draft: SignedDraft, now: number): { draft: SignedDraft; step: FamilyStep } | null {
    const { session, claims } = draft;
    if (session === undefined) return null;
    const { refreshGraceSeconds } = this.#policy;
    const family = {
      startedAt: session.startedAt,
      exp: refreshExpiry(session, claims.iat, this.#policy),
      graceSeconds: refreshGraceSeconds,
      limit: sessionLimit(this.#policy.maxPerSubject),
    };
    return { draft, step: { ...this.#registration(signer, draft, now), family } };
  }

  /**
   * Begins the time in which the refresh tokens that were used return the same tokens again. If that fails, they do so
   * until the next refresh.
   */
  async startGrace(drafts: readonly SignedDraft[], now: number): Promise<void> {
    const used = drafts.filter(({ last }) => last !== undefined);
    const steps = new Map(used.map(({ claims: { sub, jti } }) => [jti, { sub, jti }]));
    if (steps.size > 0)
      await ifReachable(() => this.#ports.registry.startGrace([...steps.values()], now), null);
  }

  async remove({ key }: Signer, drafts: readonly SignedDraft[], now: number): Promise<void> {
    const named = drafts.map(({ claims: { sub, jti, iat } }) => ({
      sub,
      entry: { jti, keyId: key.id, iat },
    }));
    await removeNamedEntries(this.#ports.registry, named, now);
    for (const { session, last, claims } of drafts) {
      if (session === undefined || last !== undefined) continue;
      await this.#ports.registry.remove(claims.sub, { families: [session.family] }, now);
    }
  }
}
