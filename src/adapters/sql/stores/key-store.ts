import type { Selectable, Updateable } from 'kysely';
import {
  invalidKeyRow,
  isKeyState,
  isSigningAlgorithm,
  isVerifyOnly,
  type SigningKey,
} from '../../../domain/model/signing-key.js';
import type { KeyStore, KeyTransition } from '../../../domain/ports/index.js';
import { JwtctlError } from '../../../domain/shared/errors.js';
import type { KeystoreTable, SqlExecutor } from '../schema.js';
import { isDuplicateKey } from './conflicts.js';
import { checkedRow, incrementCounter } from './single-row.js';

// Excludes the private key, which only `findSealed` reads.
const COLUMNS = [
  'id',
  'kid',
  'alg',
  'bits',
  'state',
  'public_key',
  'master_key_id',
  'max_ttl_seconds',
  'created_at',
  'activated_at',
  'retiring_at',
  'verify_until',
  'retired_at',
  'compromised_at',
] as const;

export const sqlKeyStore = (db: SqlExecutor): KeyStore => ({
  async snapshot(onInvalid) {
    // Reads the revision first. If a key is added in between, the revision is too old and a guarded write
    // fails. In the other order, the write would succeed without having seen the key.
    const { revision, recoveredAt } = await readRevision(db);
    const rows = await db.selectFrom('keystore').select(COLUMNS).orderBy('position').execute();
    return { revision, recoveredAt, keys: rows.flatMap((row) => readRow(row, onInvalid)) };
  },

  async longestLifetimes() {
    const { tokenSeconds, refreshTokenSeconds } = await db
      .selectFrom('keystore')
      .select(({ fn, selectFrom }) => [
        fn.max('max_ttl_seconds').as('tokenSeconds'),
        selectFrom('keystore_revision')
          .select('longest_refresh_ttl')
          .where('keystore_revision.id', '=', 1)
          .as('refreshTokenSeconds'),
      ])
      .executeTakeFirstOrThrow();
    return { tokenSeconds, refreshTokenSeconds: refreshTokenSeconds ?? 0 };
  },

  async raiseRefreshTtl(seconds) {
    await db
      .updateTable('keystore_revision')
      .set({ longest_refresh_ttl: seconds })
      .where('id', '=', 1)
      .where('longest_refresh_ttl', '<', seconds)
      .execute();
  },

  async find(kid) {
    const row = await db.selectFrom('keystore').select(COLUMNS).where('kid', '=', kid).executeTakeFirst();
    return row === undefined ? null : toSigningKey(row);
  },

  async findSealed(kid) {
    const row = await db
      .selectFrom('keystore')
      .select('private_key')
      .where('kid', '=', kid)
      .executeTakeFirst();
    return row?.private_key ?? null;
  },

  async insert(key) {
    try {
      await db
        .insertInto('keystore')
        .values({
          id: key.id,
          kid: key.kid,
          alg: key.alg,
          bits: key.bits,
          state: key.state,
          private_key: key.sealedPrivateKey,
          public_key: key.publicKey,
          master_key_id: key.masterKeyId,
          max_ttl_seconds: key.maxTtlSeconds,
          created_at: key.createdAt,
          activated_at: key.activatedAt,
          verify_until: key.verifyUntil,
        })
        .execute();
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
      if ((await this.find(key.kid)) !== null) return 'kid_exists';
      const other = await db.selectFrom('keystore').select('id').where('id', '=', key.id).executeTakeFirst();
      return other === undefined ? 'active_exists' : 'id_exists';
    }
    await this.raiseRevision();
    return 'inserted';
  },

  async apply(revision, transitions) {
    const guard = await db
      .updateTable('keystore_revision')
      .set({ revision: revision + 1 })
      .where('id', '=', 1)
      .where('revision', '=', revision)
      .executeTakeFirst();
    if (guard.numUpdatedRows === 0n) return false;
    for (const transition of transitions) await applyTransition(db, transition);
    return true;
  },

  async raiseMaxTtl(kid, seconds) {
    const result = await db
      .updateTable('keystore')
      .set({ max_ttl_seconds: seconds })
      .where('kid', '=', kid)
      .where((column) =>
        column.or([
          column('state', '=', 'active'),
          column.and([column('state', '=', 'retiring'), column('activated_at', 'is', null)]),
        ]),
      )
      .where((column) =>
        column.or([column('max_ttl_seconds', 'is', null), column('max_ttl_seconds', '<', seconds)]),
      )
      .executeTakeFirst();
    if (result.numUpdatedRows > 0n) {
      await this.raiseRevision();
      return true;
    }
    const key = await this.find(kid);
    return key !== null && (key.state === 'active' || isVerifyOnly(key));
  },

  async reseal(kid, sealed, by) {
    const result = await db
      .updateTable('keystore')
      .set({ private_key: by.sealed, master_key_id: by.masterKeyId })
      .where('kid', '=', kid)
      .where('private_key', '=', sealed)
      .executeTakeFirst();
    // Keeps the revision, because no key changes its state and a running rotation need not plan again.
    return result.numUpdatedRows > 0n;
  },

  raiseRevision: () => incrementCounter(db, 'keystore_revision', 'revision'),

  async removeRetired(kid) {
    const result = await db
      .deleteFrom('keystore')
      .where('kid', '=', kid)
      .where('state', '=', 'retired')
      .executeTakeFirst();
    if (result.numDeletedRows === 0n) return false;
    await this.raiseRevision();
    return true;
  },

  async recover({ since, revision, recoveredAt }) {
    const result = await db
      .updateTable('keystore_revision')
      .set({ revision, recovered_at: recoveredAt })
      .where('id', '=', 1)
      .where('recovered_at', '=', since)
      .executeTakeFirst();
    return result.numUpdatedRows === 1n;
  },
});

export async function readRevision(db: SqlExecutor): Promise<{ revision: number; recoveredAt: number }> {
  const row = await db
    .selectFrom('keystore_revision')
    .select(['revision', 'recovered_at as recoveredAt'])
    .where('id', '=', 1)
    .executeTakeFirst();
  return checkedRow(row, 'keystore_revision', ['revision', 'recoveredAt']);
}

async function applyTransition(db: SqlExecutor, transition: KeyTransition): Promise<void> {
  const result = await db
    .updateTable('keystore')
    .set(columnsOf(transition))
    .where('kid', '=', transition.kid)
    .where('state', '=', transition.from)
    .executeTakeFirst();
  if (result.numUpdatedRows !== 1n) {
    throw new JwtctlError('ERR_BUG', `Key ${transition.kid} is not ${transition.from}.`);
  }
}

function columnsOf(transition: KeyTransition): Updateable<KeystoreTable> {
  switch (transition.to) {
    case 'pending': {
      const { sealed, masterKeyId } = transition.by;
      return { state: 'pending', private_key: sealed, master_key_id: masterKeyId, verify_until: null };
    }
    case 'active':
      return { state: 'active', activated_at: transition.at, max_ttl_seconds: transition.maxTtlSeconds };
    case 'retiring':
      return { state: 'retiring', retiring_at: transition.at, verify_until: transition.verifyUntil };
    case 'retired':
      return { state: 'retired', retired_at: transition.at, private_key: null, master_key_id: null };
    case 'compromised':
      return { state: 'compromised', compromised_at: transition.at, private_key: null, master_key_id: null };
  }
}

type Row = Pick<Selectable<KeystoreTable>, (typeof COLUMNS)[number]>;

function readRow(row: Row, onInvalid: ((error: JwtctlError) => void) | undefined): SigningKey[] {
  try {
    return [toSigningKey(row)];
  } catch (error) {
    if (onInvalid === undefined || !(error instanceof JwtctlError)) throw error;
    onInvalid(error);
    return [];
  }
}

function toSigningKey(row: Row): SigningKey {
  if (!isKeyState(row.state)) throw invalidKeyRow(row.kid, 'state');
  if (!isSigningAlgorithm(row.alg)) throw invalidKeyRow(row.kid, 'alg');
  return {
    id: row.id,
    kid: row.kid,
    alg: row.alg,
    bits: row.bits,
    state: row.state,
    publicKey: row.public_key,
    masterKeyId: row.master_key_id,
    maxTtlSeconds: row.max_ttl_seconds,
    createdAt: row.created_at,
    activatedAt: row.activated_at,
    retiringAt: row.retiring_at,
    verifyUntil: row.verify_until,
    retiredAt: row.retired_at,
    compromisedAt: row.compromised_at,
  };
}
