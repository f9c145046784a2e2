// @ts-check
/** Throwaway servers for tests and for trying the CLI by hand. See servers.d.mts for what each promises. */
export { findMysql, startMysql } from './servers/mysql.mjs';
export { startNginx } from './servers/nginx.mjs';
export { startRedis } from './servers/redis.mjs';
export { startRedisCluster } from './servers/redis-cluster.mjs';
export { openServerGroup } from './servers/server-group.mjs';
