import type { AuditRowBatcher } from '../domain/audit-log/audit-row-batcher.js';
import type { Issuer } from '../domain/tokens/issue.js';
import type { IssuedToken } from '../domain/tokens/issued-token.js';
import type { TokenRequest } from '../domain/tokens/token-request.js';
import type { RefreshTokenUse } from '../domain/tokens/use-refresh-token.js';
import { RequestBatches } from './request-batches.js';

type IssuerOfBatches = Pick<Issuer, 'issueMany' | 'refreshMany' | 'validate' | 'discard'>;

/** Issues and refreshes tokens for requests that arrive one by one, in batches. */
export class RequestIssuer {
  readonly #issuer: IssuerOfBatches;
  readonly #audit: AuditRowBatcher;
  readonly #issues: RequestBatches<TokenRequest, IssuedToken>;
  readonly #refreshes: RequestBatches<RefreshTokenUse, IssuedToken>;

  constructor(issuer: IssuerOfBatches, audit: AuditRowBatcher) {
    this.#issuer = issuer;
    this.#audit = audit;
    this.#issues = new RequestBatches((requests, options) => issuer.issueMany(requests, options));
    this.#refreshes = new RequestBatches((uses, options) => issuer.refreshMany(uses, options));
  }

  /** @throws JwtctlError (usage) for an invalid request */
  validate(request: TokenRequest): void {
    this.#issuer.validate(request);
  }

  /** Resolves when the token is registered and its audit row is written. @throws as {@link Issuer.issue} does */
  async issue(request: TokenRequest, actor: string): Promise<IssuedToken> {
    const issued = await this.#issues.add(request);
    const target = `${issued.sub} ${issued.jti}`;
    const row = { actor, action: 'token.issue', target, outcome: 'done', reason: null };
    // If it cannot be written, the token is not returned.
    await this.#audit.append({ ...row, at: issued.iat }).catch(async (error) => {
      await this.#issuer.discard(issued);
      throw error;
    });
    return issued;
  }

  /** Resolves when the token is registered. @throws as {@link Issuer.refresh} does */
  refresh(use: RefreshTokenUse): Promise<IssuedToken> {
    return this.#refreshes.add(use);
  }
}
