import type { Registry } from 'prom-client';
import { type KeyPolicy, type KeyStatus, rotationDueAt } from '../domain/doctor/key-status.js';
import { isTrusted, KEY_STATES } from '../domain/model/signing-key.js';
import { collected } from './collected.js';

/** Adds what `jwtctl serve` and `jwtctl metrics` both tell about the keys. */
export function addKeyMetrics(registry: Registry, policy: KeyPolicy, read: () => KeyStatus): void {
  collected(registry, 'jwtctl_keys', () => {
    const { all } = read();
    return KEY_STATES.map((state) => [{ state }, all.filter((key) => key.state === state).length]);
  });
  collected(registry, 'jwtctl_key_created_timestamp_seconds', () =>
    read()
      .all.filter(({ state }) => isTrusted(state))
      .map(({ kid, state, createdAt }) => [{ kid, state }, createdAt]),
  );
  collected(
    registry,
    'jwtctl_active_key_activated_timestamp_seconds',
    () => read().active?.activatedAt ?? Number.NaN,
  );
  collected(
    registry,
    'jwtctl_next_rotation_timestamp_seconds',
    () => rotationDueAt(read(), policy) ?? Number.NaN,
  );
  collected(registry, 'jwtctl_keys_rotate_after_seconds', () => policy.rotateAfterSeconds);
}
