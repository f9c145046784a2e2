/** How far a database's schema is, by the names of migrations in their order. */
export interface SchemaStatus {
  engine: 'mysql' | 'sqlite';
  applied: string[];
  /** What `jwtctl db migrate` would apply. */
  pending: string[];
  /** What a newer version of jwtctl has applied. */
  unknown: string[];
}
