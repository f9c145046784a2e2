import { Option } from 'commander';
import { parseReason } from '../../../domain/shared/text.js';

export function reasonOption(): Option {
  return new Option('--reason <text>', 'why, for the security log and the audit log').argParser(parseReason);
}
