import type { Stores } from './stores.js';

/** Reads and writes the registry without the code under test. */
export interface Planting {
  /** Returns every entry of a subject, expired or not. */
  jtis(sub: string): Promise<string[]>;
  /** Returns the cached user status and its version, as in `enabled 3`; null if there is none. */
  cachedStatus(sub: string): Promise<string | null>;
  plantEntry(sub: string, entry: { keyId: number; iat: number; exp: number; jti: string }): Promise<void>;
  plantStatus(
    sub: string,
    user: { status: 'enabled' | 'disabled'; version: number; until: number },
  ): Promise<void>;
}

export function planting({ redis, query }: Stores): Planting {
  if (redis === null) return inRows(query);
  const setOf = (sub: string) => `${redis.prefix}:{${encoded(sub)}}`;
  return {
    jtis: async (sub) =>
      (await redis.client.zrange(setOf(sub), '0', '-1'))
        .filter((member) => !member.startsWith('!'))
        .map((member) => member.split('.').slice(2).join('.')),
    cachedStatus: async (sub) => {
      const [status, version] = await redis.client.zmscore(setOf(sub), '!s', '!v');
      if (status === null) return null;
      return `${Number(status) > 0 ? 'enabled' : 'disabled'} ${-Number(version)}`;
    },
    plantEntry: async (sub, { keyId, iat, exp, jti }) => {
      await redis.client.zadd(setOf(sub), exp, `${keyId.toString(36)}.${iat.toString(36)}.${jti}`);
    },
    plantStatus: async (sub, { status, version, until }) => {
      const score = status === 'enabled' ? until : -until;
      await redis.client.zadd(setOf(sub), score, '!s', -version, '!v');
    },
  };
}

/** Encodes the subject as in a key name, independently of the code under test. See `docs/storage.md`. */
function encoded(sub: string): string {
  return [...Buffer.from(sub)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[A-Za-z0-9._~@-]/.test(character)
        ? character
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

function inRows(query: Stores['query']): Planting {
  return {
    jtis: async (sub) => {
      const rows = await query('SELECT jti FROM registry_entries WHERE sub = ?', [sub]);
      return rows.map(({ jti }) => String(jti));
    },
    cachedStatus: async (sub) => {
      const [row] = await query('SELECT status, version FROM registry_users WHERE sub = ?', [sub]);
      return row === undefined ? null : `${row.status} ${row.version}`;
    },
    plantEntry: async (sub, { keyId, iat, exp, jti }) => {
      await query(
        `INSERT INTO registry_entries (sub, jti, key_id, iat, exp) VALUES (?, ?, ${keyId}, ${iat}, ${exp})`,
        [sub, jti],
      );
    },
    plantStatus: async (sub, { status, version, until }) => {
      await query(
        `INSERT INTO registry_users (sub, status, version, known_until) VALUES (?, ?, ${version}, ${until})
         ON CONFLICT (sub) DO UPDATE SET status = excluded.status, version = excluded.version`,
        [sub, status],
      );
    },
  };
}
