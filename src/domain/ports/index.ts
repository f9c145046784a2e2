// Times are NumericDate seconds (RFC 7519 §2). A store that cannot answer rejects with a JwtctlError of kind
// `unavailable`.

export type * from '../model/registry-entry.js';
export type { User, UserStatus } from '../model/user.js';
export type * from './account-rights.js';
export type * from './administration.js';
export type * from './audit-log.js';
export type * from './call-recorder.js';
export type * from './clock.js';
export type * from './database.js';
export type * from './entry-store.js';
export type * from './event-consumers.js';
export type * from './family-store.js';
export type * from './key-store.js';
export type * from './private-file.js';
export type * from './prompt.js';
export type * from './public-file.js';
export type * from './published-keys.js';
export type * from './registry-scanner.js';
export type * from './sealer.js';
export type * from './security-log.js';
export type * from './token-registry.js';
export type * from './token-status.js';
export type * from './user-store.js';
export type * from './verifier-roster.js';
