/** Migrations by name, in order. */
export interface SchemaStatus {
  engine: 'mysql' | 'sqlite';
  applied: string[];
  /** Applied by the next `jwtctl db migrate`. */
  pending: string[];
  /** Applied by a newer version of jwtctl. */
  unknown: string[];
}
