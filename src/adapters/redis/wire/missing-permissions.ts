import type { Redis } from 'ioredis';
import { SCRIPTED } from './needed-permissions.js';
import { withDeadline } from './pipeline.js';

/** `redis.acl_check_cmd` (Redis 7.0) needs only permission to use EVAL. It throws for unknown commands. */
const FIND_MISSING = `
local missing = {}
for _, permission in ipairs(ARGV) do
  local command, subcommand = string.match(permission, '^([^|]+)|?(.*)$')
  local words = subcommand == '' and { command } or { command, subcommand }
  local is_known, is_granted = pcall(redis.acl_check_cmd, unpack(words))
  if is_known and not is_granted then missing[#missing + 1] = permission end
end
return missing
`;

/** For a script: Redis 7.2 names a forbidden command only in the message text, Redis 7.0 not at all. */
export async function missingPermissions(client: Redis, timeoutMs: number): Promise<string[]> {
  try {
    return (await withDeadline(client.call('eval', FIND_MISSING, 0, ...SCRIPTED), timeoutMs)) as string[];
  } catch {
    return [];
  }
}
