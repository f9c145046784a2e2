import {
  LONGEST_HEARTBEAT_SECONDS,
  MOST_HEARTBEAT_CHARACTERS,
  REPORTED_AGAIN_SECONDS,
} from '../../../domain/fleet/heartbeat.js';
import { FAMILY_CHARACTERS } from '../../../domain/model/family.js';
import { LOST_BY_RESTART_SECONDS } from '../../../domain/registry/idle.js';
import { constants, script } from '../cluster/script.js';
import { SEEN_PREFIX, STATUS_MEMBER, VERSION_MEMBER } from '../keyspace.js';
import addEvents from './add-events.lua';
import advanceFamily from './advance-family.lua';
import entries from './includes/entries.lua';
import expiry from './includes/expiry.lua';
import families from './includes/families.lua';
import heartbeats from './includes/heartbeats.lua';
import matching from './includes/matching.lua';
import order from './includes/order.lua';
import paging from './includes/paging.lua';
import registration from './includes/registration.lua';
import status from './includes/status.lua';
import subject from './includes/subject.lua';
import page from './page.lua';
import readHeartbeats from './read-heartbeats.lua';
import register from './register.lua';
import remove from './remove.lua';
import removeEntries from './remove-entries.lua';
import portion from './remove-portion.lua';
import replaceMarks from './replace-marks.lua';
import reportHeartbeat from './report-heartbeat.lua';
import setStatus from './set-status.lua';
import startGrace from './start-grace.lua';
import touch from './touch.lua';

/** First element of a script's reply if the key has another type; otherwise it is 1. */
export const WRONG_TYPE = 0;

/** First element of the reply of a script after its deadline. The second is the server's time. */
export const TOO_LATE = -1;

/** Members that one script call reads at most. The server does nothing else meanwhile. */
export const MEMBERS_PER_CALL = 1000;

export const EVENTS_PER_CALL = 500;

export const WRITES_REFUSED = -2;

/** The outcomes of {@link ADVANCE_FAMILY}. */
export const STEP = { ADVANCED: 1, REPLAYED: 2, REUSED: 3, UNKNOWN: 4, LIMITED: 5 } as const;

/** The place of the first entry among the arguments, and how many arguments describe one: see `register.lua`. */
const ENTRIES = { FIRST_ENTRY: 6, ENTRY_ARGUMENTS: 6 };

/** The outcomes of adding an entry, within a script. */
const ADDING = { DONE: 1, AGAIN: 2 };

/** The outcomes of {@link REGISTER} for an entry. Distinct from ADDING: `add_entry` returns both. */
export const ENTRY_OUTCOME = { REFUSED: 3, ADDED: 4, KNOWN: 5 } as const;

/** The kinds of a name that a removal is restricted to: see `includes/matching.lua`. */
export const NAMED = { JTI: '1', FAMILIES: '2' } as const;

const REGISTRY = constants({
  ...{ WRONG_TYPE, TOO_LATE, MEMBERS_PER_CALL, STATUS_MEMBER, VERSION_MEMBER, ...STEP, ...NAMED },
  ...{ SEEN_PREFIX, ...ENTRIES, ...ADDING, ...ENTRY_OUTCOME },
  SAMPLED_FAMILIES: 20,
  FAMILY_CHARACTERS,
  LOST_BY_RESTART_SECONDS,
});
/** For scripts that only replace values, so they are allowed when memory is full (Redis 7.0). */
const EVEN_OUT_OF_MEMORY = '#!lua flags=allow-oom\n';
const REGISTRATION = [REGISTRY, subject, entries, expiry, status, order, registration] as const;
export const REGISTER = script(...REGISTRATION, register);
export const ADVANCE_FAMILY = script(...REGISTRATION, families, advanceFamily);
export const START_GRACE = script(startGrace);
export const SET_STATUS = script(REGISTRY, subject, entries, expiry, status, setStatus);
export const TOUCH = script(EVEN_OUT_OF_MEMORY, REGISTRY, subject, entries, touch);
export const PAGE = script(REGISTRY, order, paging, page);
export const REMOVE = script(REGISTRY, entries, expiry, families, matching, remove);
export const REMOVE_PORTION = script(
  ...[REGISTRY, subject, entries, expiry, order, paging, families, matching, portion],
);
export const REMOVE_ENTRIES = script(REGISTRY, subject, entries, expiry, removeEntries);

const FLEET = constants({
  WRONG_TYPE,
  WRITES_REFUSED,
  LONGEST_HEARTBEAT_SECONDS,
  MOST_HEARTBEAT_CHARACTERS,
  REPORTED_AGAIN_SECONDS,
  /** The field with the time since when, until when, and by which run of the server heartbeats were kept. */
  KEPT: 'kept',
  CHECKED_PER_REPORT: 10,
  /** Above these limits the hash is not read: verifiers never write that much. */
  MOST_HEARTBEATS: 5_000,
  MOST_BYTES: 16 * 2 ** 20,
});
export const REPORT_HEARTBEAT = script(EVEN_OUT_OF_MEMORY, FLEET, heartbeats, reportHeartbeat);
export const READ_HEARTBEATS = script(FLEET, heartbeats, readHeartbeats);

export const REPLACE_MARKS = script(constants({ WRONG_TYPE }), replaceMarks);
export const ADD_EVENTS = script(constants({ WRONG_TYPE, EVENTS_PER_CALL }), addEvents);
