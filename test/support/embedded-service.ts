import { randomBytes } from 'node:crypto';
import { rsaKeyPairGenerator } from '../../src/adapters/rsa/key-pair-generator.js';
import { JweSealer } from '../../src/adapters/sealing/jwe-sealer.js';
import { MasterKeys } from '../../src/adapters/sealing/master-keys.js';
import { AesRefreshTokenSealer } from '../../src/adapters/sealing/refresh-token-sealer.js';
import type { Context } from '../../src/app/context.js';
import { createSignatures } from '../../src/domain/jose/signature.js';
import type { CompromisePorts } from '../../src/domain/keys/compromise.js';
import { generateKeys } from '../../src/domain/keys/generate.js';
import type {
  Database,
  KeyPairGenerator,
  RefreshTokenSealer,
  TokenRegistry,
  UserDirectory,
} from '../../src/domain/ports/index.js';
import { Issuer } from '../../src/domain/tokens/issue.js';
import { SigningPool } from '../../src/domain/tokens/signing-pool.js';
import type { IssuerPolicy } from '../../src/domain/tokens/token-request.js';
import { addUsers } from '../../src/domain/users/import.js';
import { type VerificationResult, verifyToken } from '../../src/domain/verification/verify.js';
import { storeVerification } from '../../src/verifier/store-verification.js';
import { ManualClock } from './clock.js';
import { CLOCK_TOLERANCE_SECONDS, type EmbeddedStores, openEmbeddedStores } from './embedded.js';

export const POLICY = {
  issuer: 'jwtctl',
  audience: 'user',
  ttlSeconds: 3600,
  maxTtlSeconds: 86_400,
  actMaxTtlSeconds: 900,
  refreshTtlSeconds: 30 * 86_400,
  refreshGraceSeconds: 10,
  statusTtlSeconds: 60,
  clockToleranceSeconds: CLOCK_TOLERANCE_SECONDS,
} as const;

export interface EmbeddedService extends EmbeddedStores {
  clock: ManualClock;
  /** The ports of commands that change keys, users, or tokens. */
  ports: EmbeddedPorts;
  issuer(policy?: Partial<IssuerPolicy>, users?: UserDirectory): Issuer;
  bulkIssuer(options?: BulkIssuerOptions): Issuer;
  /** Issues a token, and adds the user if needed. */
  issueTo(sub: string): Promise<{ token: string; jti: string; iat: number; exp: number; kid: string }>;
  verify(token: string): Promise<VerificationResult>;
  /** Verifies a token: the refusal code, or `active`. */
  verdict(token: string): Promise<string>;
  /** Returns the service with these calls to the registry replaced. */
  withRegistry(overrides: Partial<TokenRegistry>): EmbeddedPorts;
}

type EmbeddedPorts = CompromisePorts & { registry: TokenRegistry; refreshTokens: RefreshTokenSealer };

export interface BulkIssuerOptions {
  policy?: Partial<IssuerPolicy>;
  database?: Database;
  registry?: TokenRegistry;
  users?: UserDirectory;
  createUsers?: boolean;
}

/** The rules over embedded stores, with one active key. */
export async function openEmbeddedService(): Promise<EmbeddedService> {
  const stores = await openEmbeddedStores();
  const { database, registry } = stores;
  const clock = new ManualClock();
  const masterKeys = new MasterKeys({ kind: 'value', text: randomBytes(32).toString('base64') }, clock);
  const sealer = new JweSealer(masterKeys);
  const refreshTokens = new AesRefreshTokenSealer(masterKeys);
  const common = { database, sealer, refreshTokens, clock, generator: rsaKeyPairGenerator, actor: 'test' };
  const portsOver = (used: TokenRegistry) => ({ ...common, registry: used, openRegistry: async () => used });
  const ports = portsOver(registry);
  await generateKeys(
    { ...ports, generator: oneKeyPair },
    { kid: 'k1', alg: 'RS256', bits: 2048, count: 1, maxTtlSeconds: 60 },
  );

  const issuer: EmbeddedService['issuer'] = (policy = {}, users = database.users) =>
    new Issuer({ ...ports, users, ...SIGNING }, { ...POLICY, ...policy });
  const defaultIssuer = issuer();
  const signing = new SigningPool(2);
  const addAll = (subs: readonly string[]) =>
    addUsers(
      ports,
      subs.map((sub) => ({ sub, name: null })),
    );
  const verification = await storeVerification(contextOf(database, registry, clock));
  return {
    ...stores,
    clock,
    ports,
    issuer,
    bulkIssuer: ({ policy = {}, createUsers = false, ...others } = {}) =>
      new Issuer(
        {
          ...{ ...ports, users: database.users, guard: NO_MARKS },
          sign: (alg, key, inputs) => signing.sign(alg, key, inputs),
          ...{ addUsers: createUsers ? addAll : undefined, ...others },
        },
        { ...POLICY, ...policy },
      ),
    close: async () => {
      await signing.close();
      await stores.close();
    },
    issueTo: async (sub) => {
      await database.users.add({ sub, name: null, at: clock.now() });
      return defaultIssuer.issue({ sub });
    },
    verify: (token) => verifyToken(token, verification),
    verdict: async (token) => {
      const result = await verifyToken(token, verification);
      return result.active ? 'active' : result.error.code;
    },
    withRegistry: (overrides) => portsOver(overlay(registry, overrides)),
  };
}

/** The embedded store has no marks. */
const NO_MARKS = { assertCurrent: async () => 0 };

/** The issuer's ports for signing in this process. */
export const SIGNING = { guard: NO_MARKS, sign: createSignatures };

let keyPair: ReturnType<KeyPairGenerator['generate']> | undefined;

/** Shared, because generating an RSA key pair for each test would take longer than the tests. */
const oneKeyPair: KeyPairGenerator = {
  generate: (bits) => {
    keyPair ??= rsaKeyPairGenerator.generate(bits);
    return keyPair;
  },
};

function contextOf(database: Database, registry: TokenRegistry, clock: ManualClock): Context {
  const { issuer, audience, statusTtlSeconds: statusTtl, clockToleranceSeconds: clockTolerance } = POLICY;
  return {
    settings: { token: { issuer, audience, clockTolerance }, users: { source: 'managed', statusTtl } },
    clock,
    database: async () => database,
    registry: async () => registry,
    users: async () => database.users,
  } as unknown as Context;
}

function overlay(registry: TokenRegistry, overrides: Partial<TokenRegistry>): TokenRegistry {
  return new Proxy(registry, {
    get: (target, name) => {
      if (name in overrides) return overrides[name as keyof TokenRegistry];
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}
