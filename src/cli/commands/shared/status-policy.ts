import type { Settings } from '../../../config/settings.js';
import type { StatusPolicy } from '../../../domain/doctor/status-ports.js';

export function statusPolicy({ keys, token }: Settings): StatusPolicy {
  return {
    rotateAfterSeconds: keys.rotateAfter,
    publishLeadSeconds: keys.publishLead,
    clockToleranceSeconds: token.clockTolerance,
  };
}
