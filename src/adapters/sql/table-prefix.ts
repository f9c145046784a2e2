import {
  type Kysely,
  type KyselyPlugin,
  OperationNodeTransformer,
  type PluginTransformQueryArgs,
  type PluginTransformResultArgs,
  type QueryResult,
  type RootOperationNode,
  type SchemableIdentifierNode,
  type UnknownRow,
} from 'kysely';
import type { Schema } from './schema.js';

export const MIGRATION_TABLE = 'jwtctl_migration';
export const MIGRATION_LOCK_TABLE = 'jwtctl_migration_lock';

const OWN: Readonly<Record<keyof Schema, true>> = {
  ...{ keystore: true, keystore_revision: true, users: true, security_log: true },
  ...{ audit_log: true, audit_head: true, event_consumers: true },
  ...{ registry_entries: true, registry_users: true, registry_fleet: true, registry_families: true },
};
const NAMES = new Set([...Object.keys(OWN), MIGRATION_TABLE, MIGRATION_LOCK_TABLE]);

/** Puts a prefix before the names of jwtctl's tables, so that several can share one database. */
export class TablePrefix implements KyselyPlugin {
  readonly prefix: string;
  readonly #transformer: Transformer;

  constructor(prefix: string) {
    this.prefix = prefix;
    this.#transformer = new Transformer(prefix);
  }

  transformQuery({ node, queryId }: PluginTransformQueryArgs): RootOperationNode {
    return this.#transformer.transformNode(node, queryId);
  }

  async transformResult({ result }: PluginTransformResultArgs): Promise<QueryResult<UnknownRow>> {
    return result;
  }
}

/** The name of a table in the database. */
export function tableName(db: Pick<Kysely<unknown>, 'getExecutor'>, name: string): string {
  const plugin = db.getExecutor().plugins.find((one) => one instanceof TablePrefix);
  return `${plugin?.prefix ?? ''}${name}`;
}

class Transformer extends OperationNodeTransformer {
  readonly #prefix: string;

  constructor(prefix: string) {
    super();
    this.#prefix = prefix;
  }

  protected override transformSchemableIdentifier(
    ...[given, queryId]: Parameters<OperationNodeTransformer['transformSchemableIdentifier']>
  ): SchemableIdentifierNode {
    const node = super.transformSchemableIdentifier(given, queryId);
    const { name } = node.identifier;
    if (node.schema !== undefined || !NAMES.has(name)) return node;
    return { ...node, identifier: { ...node.identifier, name: `${this.#prefix}${name}` } };
  }
}
