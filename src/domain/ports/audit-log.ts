/** The last row of the audit log. */
export interface AuditHead {
  seq: number;
  hash: string;
}
