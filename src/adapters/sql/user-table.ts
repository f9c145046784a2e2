import { sql } from 'kysely';
import type { User, UserDirectory } from '../../domain/ports.js';
import type { SqlExecutor } from './schema.js';

export interface UserTableOptions {
  /** `table` or `schema.table` */
  table: string;
  /** The column that holds the `sub`. */
  column: string;
  /** An SQL condition on a row of the table; without one every row is an enabled user. */
  enabledWhere?: string;
}

const PAGE = 1_000;

/** `users.source: table`: a table that the adopter already has, read and never written. */
export class SqlUserTable implements UserDirectory {
  readonly #db: SqlExecutor;
  readonly #options: UserTableOptions;

  constructor(db: SqlExecutor, options: UserTableOptions) {
    this.#db = db;
    this.#options = options;
  }

  async find(sub: string): Promise<User | null> {
    const { rows } = await sql<Row>`${this.#select()} where ${this.#column()} = ${sub}`.execute(this.#db);
    // The adopter's collation may find `Alice` for `alice` or `alice` for `alice `; a subject is compared byte for byte.
    const exact = rows.filter((row) => row.sub === sub);
    return exact.length === 0 ? null : toUser(sub, exact);
  }

  async *list(): AsyncIterable<User> {
    for (let offset = 0; ; offset += PAGE) {
      const { rows } =
        await sql<Row>`${this.#select()} where ${this.#column()} is not null order by ${this.#column()} limit ${sql.lit(PAGE)} offset ${sql.lit(offset)}`.execute(
          this.#db,
        );
      for (const row of rows) yield toUser(row.sub, [row]);
      if (rows.length < PAGE) return;
    }
  }

  #select() {
    const condition = this.#options.enabledWhere;
    const enabled =
      condition === undefined ? sql`1` : sql`case when (${sql.raw(condition)}) then 1 else 0 end`;
    // As text: a driver reads numbers above 2^53 as others, and another subject might be taken for this one.
    return sql`select cast(${this.#column()} as char) as sub, ${enabled} as enabled from ${sql.table(this.#options.table)}`;
  }

  #column() {
    return sql.ref(this.#options.column);
  }
}

interface Row {
  sub: string;
  enabled: number;
}

/** Where a subject has several rows, one that is not enabled disables it. */
function toUser(sub: string, rows: Row[]): User {
  const isEnabled = rows.every((row) => Number(row.enabled) === 1);
  return {
    sub,
    name: null,
    status: isEnabled ? 'enabled' : 'disabled',
    version: 0,
    createdAt: null,
    updatedAt: null,
  };
}
