import { Option } from 'commander';
import { parseReason } from '../../../domain/shared/text.js';

export function reasonOption(): Option {
  return new Option('--reason <text>', 'reason recorded in the security log and the audit log').argParser(
    parseReason,
  );
}
