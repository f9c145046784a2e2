import type { Check } from '../check.js';
import { activeKey } from './active-key.js';
import { clocks } from './clocks.js';
import { configuration } from './configuration.js';
import { database } from './database.js';
import { entries } from './entries.js';
import { events } from './events.js';
import { eviction } from './eviction.js';
import { keyAge } from './key-age.js';
import { memory } from './memory.js';
import { pendingKey } from './pending-key.js';
import { privateKeys } from './private-keys.js';
import { publishedKeys } from './published-keys.js';
import { redis } from './redis.js';
import { replicas } from './replicas.js';
import { restored } from './restored.js';
import { rights } from './rights.js';
import { schema } from './schema.js';
import { slots } from './slots.js';
import { userTable } from './user-table.js';
import { verifiers } from './verifiers.js';

/** In the order of the output: what others need comes first. */
export const CHECKS: readonly Check[] = [
  ...[configuration, database, schema, redis, rights, restored, userTable],
  ...[slots, replicas, eviction, memory, clocks],
  ...[activeKey, keyAge, pendingKey, privateKeys, publishedKeys, verifiers, events, entries],
];
