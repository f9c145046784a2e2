import type { Redis } from 'ioredis';
import { SCRIPTED } from './needed-permissions.js';
import { withDeadline } from './pipeline.js';

/**
 * `redis.acl_check_cmd` (Redis 7.0) needs only permission to use EVAL. It throws for unknown commands. A permission may
 * have a key: `exists some-key`.
 */
const COMPARE = `
local granted, denied = {}, {}
for _, permission in ipairs(ARGV) do
  local command, word = string.match(permission, '^([^| ]+)[| ]?(.*)$')
  local words = word == '' and { command } or { command, word }
  local is_known, is_granted = pcall(redis.acl_check_cmd, unpack(words))
  if is_known then table.insert(is_granted and granted or denied, permission) end
end
return { granted, denied }
`;

export async function comparePermissions(
  client: Redis,
  permissions: readonly string[],
  timeoutMs: number,
): Promise<{ granted: string[]; denied: string[] }> {
  const reply = await withDeadline(client.call('eval', COMPARE, 0, ...permissions), timeoutMs);
  const [granted = [], denied = []] = reply as string[][];
  return { granted, denied };
}

/** For a script: Redis 7.2 names a forbidden command only in the message text, Redis 7.0 not at all. */
export async function missingPermissions(client: Redis, timeoutMs: number): Promise<string[]> {
  try {
    return (await comparePermissions(client, SCRIPTED, timeoutMs)).denied;
  } catch {
    return [];
  }
}
