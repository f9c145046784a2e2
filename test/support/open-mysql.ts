import { type OpenedMysql, openMysql } from '../../src/adapters/sql/mysql/open-mysql.js';

/** Opens MySQL with the password that the URL holds. */
export function openMysqlWithPassword(address: string, timeoutMs: number): OpenedMysql {
  const url = new URL(address);
  const password = decodeURIComponent(url.password);
  url.password = '';
  return openMysql({ url: url.href, timeoutMs, credentials: async () => ({ password }) });
}
