import type { ErrorEntry } from './entry.js';

export const STORES_ERRORS = {
  ERR_COUNT_INCOMPLETE: {
    kind: 'partial',
    meaning: 'Part of the registry cannot be read, so the number of tokens under the key is unknown.',
    remedy: 'Run the command again when all Redis masters answer, or pass `--force`.',
  },
  ERR_DATABASE_BEHIND: {
    kind: 'state',
    meaning:
      'The database lacks earlier changes, because it was restored from a backup or is an old primary.',
    remedy:
      'Run `jwtctl db recover` to list the missing changes, then run it again with `--reapply` or `--accept`.',
  },
  ERR_DATABASE_CONFLICT: {
    kind: 'unavailable',
    meaning: 'Other transactions changed the same rows or held locks for too long.',
    remedy:
      'Run the same command again. If the error persists, look for a long transaction on the tables of jwtctl.',
  },
  ERR_DATABASE_STALE: {
    kind: 'unavailable',
    meaning:
      'MySQL lacks changes that Redis has recorded, so a key or user that is not found may still exist.',
    remedy: 'Try again in a few seconds. If the error persists, run `jwtctl db recover`.',
  },
  ERR_DATABASE_UNKNOWN: {
    kind: 'not_found',
    meaning: 'The MySQL server has no database of this name.',
    remedy: 'Create the database, then run `jwtctl db migrate`.',
  },
  ERR_DATA_FILE_INVALID: {
    kind: 'state',
    meaning: 'The data file is not an intact SQLite database.',
    remedy: 'Set `data` (`JWTCTL_DATA`) to another file, or restore this one from a backup.',
  },
  ERR_DATA_FILE_UNAVAILABLE: {
    kind: 'unavailable',
    meaning: 'The data file or its folder cannot be opened, created, or written.',
    remedy:
      'Set `data` (`JWTCTL_DATA`) to a file that this account can write, and check that the disk has room.',
  },
  ERR_DUPLICATE_KEY: {
    kind: 'state',
    meaning: 'The database already has a row with this primary or unique key.',
    remedy: 'Run the same command again.',
  },
  ERR_ENTRY_AMBIGUOUS: {
    kind: 'state',
    meaning: 'Several live tokens of the subject have this `jti`.',
    remedy: 'Select one with `--kid`. If they have the same key, also pass `--iat`.',
  },
  ERR_ENTRY_NOT_FOUND: {
    kind: 'not_found',
    meaning: 'The registry has no live token of this subject with this `jti`.',
    remedy: 'Run `jwtctl token list --sub S` to see the live tokens of the subject.',
  },
  ERR_FLEET_UNAVAILABLE: {
    kind: 'unavailable',
    meaning: 'The list of running verifiers cannot be read from Redis, so the next key does not sign yet.',
    remedy: 'Run the same command again when Redis answers, or pass `--force` to continue without the list.',
  },
  ERR_MIGRATION_RUNNING: {
    kind: 'unavailable',
    meaning: 'Another `jwtctl db migrate` is changing the tables of this database.',
    remedy: 'Wait until it has finished, then run `jwtctl db migrate` again.',
  },
  ERR_MYSQL_AUTH: {
    kind: 'unavailable',
    meaning: 'MySQL refused the login.',
    remedy:
      'Check the user and the database in `mysql.url`, the password, and the client certificate if the account requires one.',
  },
  ERR_MYSQL_FORBIDDEN: {
    kind: 'unavailable',
    meaning: 'The MySQL account lacks a privilege.',
    remedy:
      'Grant it SELECT, INSERT, UPDATE, and DELETE; for `jwtctl db migrate` also CREATE, ALTER, and INDEX.',
  },
  ERR_MYSQL_LIMIT_REACHED: {
    kind: 'unavailable',
    meaning: 'The MySQL server reached a limit of disk space, connections, memory, or query time.',
    remedy: 'Look at the log of the MySQL server.',
  },
  ERR_MYSQL_READ_ONLY: {
    kind: 'unavailable',
    meaning: 'The MySQL server rejects writes, because it is a replica or is failing over.',
    remedy: 'Set `mysql.url` to the primary, or try again after the failover.',
  },
  ERR_MYSQL_REFUSED: {
    kind: 'unavailable',
    meaning: 'The server refused the connection during the handshake.',
    remedy:
      'Check that `mysql.url` points to MySQL or MariaDB, and look at the log of the server or its proxy.',
  },
  ERR_MYSQL_SESSION_REFUSED: {
    kind: 'unavailable',
    meaning: 'The MySQL server or a proxy refused the session settings that jwtctl needs.',
    remedy:
      'Configure the proxy to allow setting the isolation level, `sql_mode`, and the lock wait timeouts.',
  },
  ERR_MYSQL_TLS: {
    kind: 'unavailable',
    meaning: 'The TLS connection to MySQL failed.',
    remedy: 'Check the `mysql.tls` settings and the certificate of the server.',
  },
  ERR_MYSQL_UNREACHABLE: {
    kind: 'unavailable',
    meaning: 'MySQL cannot be reached or does not answer in time.',
    remedy:
      'Check the host and port in `mysql.url`, and check that the server runs. `--timeout` changes the limit.',
  },
  ERR_NO_STORE: {
    kind: 'state',
    meaning: 'No MySQL and Redis servers are configured, and no embedded store exists.',
    remedy:
      'Set `mysql.url` and `redis.nodes` (`jwtctl config path` lists the configuration files), or run `jwtctl keys generate` to create an embedded store.',
  },
  ERR_RECORDED_NOT_APPLIED: {
    kind: 'unavailable',
    meaning:
      'The change is in the security log, and verifiers that read the log apply it, but Redis could not be changed.',
    remedy: 'Run the same command again when Redis answers.',
  },
  ERR_RECOVERY_CONFLICT: {
    kind: 'state',
    meaning: 'Another process recovered the database at the same time, so this one changed nothing.',
    remedy: 'Run `jwtctl db recover` to see whether changes are still missing.',
  },
  ERR_REDIS_AUTH: {
    kind: 'unavailable',
    meaning: 'Redis refused the login.',
    remedy:
      'Check `redis.username` and the Redis password (`JWTCTL_REDIS_USERNAME`, `JWTCTL_REDIS_PASSWORD`).',
  },
  ERR_REDIS_CLUSTER_DOWN: {
    kind: 'unavailable',
    meaning: 'The Redis Cluster does not serve all hash slots, or is failing over.',
    remedy: 'Try again after the failover, or run `redis-cli cluster info` on a node.',
  },
  ERR_REDIS_FORBIDDEN: {
    kind: 'unavailable',
    meaning: 'The Redis account may not run a command or access a key.',
    remedy:
      'Grant the missing permission on every node with `ACL SETUSER`. `docs/redis-acl.md` has the full list.',
  },
  ERR_REDIS_IS_A_REPLICA: {
    kind: 'unavailable',
    meaning: 'The Redis server is a replica, which rejects writes and may lag behind.',
    remedy: 'Set `redis.nodes` (`JWTCTL_REDIS_NODES`) to the address of the master.',
  },
  ERR_REDIS_MODE_MISMATCH: {
    kind: 'usage',
    meaning: 'The Redis server does not run in the mode that `redis.mode` names.',
    remedy:
      'Set `redis.mode` (`JWTCTL_REDIS_MODE`) or `redis.nodes` (`JWTCTL_REDIS_NODES`) as the message says.',
  },
  ERR_REDIS_NOT_READY: {
    kind: 'unavailable',
    meaning: 'The Redis server is loading its data, running a script, or refusing writes.',
    remedy: 'Try again later, or run `redis-cli info` on the server to find the cause.',
  },
  ERR_REDIS_OUT_OF_MEMORY: {
    kind: 'unavailable',
    meaning: 'Redis has reached its `maxmemory`, so no token can be registered.',
    remedy: 'Raise `maxmemory`, or add masters to the cluster.',
  },
  ERR_REDIS_OVERLOADED: {
    kind: 'unavailable',
    meaning: 'Too many requests to a Redis master are waiting for an answer.',
    remedy: 'Try again in a moment, or spread the load over more processes.',
  },
  ERR_REDIS_RESTARTED: {
    kind: 'unavailable',
    meaning: 'A Redis master has just restarted, and may have lost tokens that its replica still has.',
    remedy: 'Try again in 30 seconds. By then, a replica has taken over, or the master keeps its hash slots.',
  },
  ERR_REDIS_TLS: {
    kind: 'unavailable',
    meaning: 'The TLS connection to Redis failed.',
    remedy: 'Check the `redis.tls` settings and the certificate of the server.',
  },
  ERR_REDIS_UNEXPECTED_REPLY: {
    kind: 'unavailable',
    meaning: 'Redis returned an error or a reply that jwtctl does not expect.',
    remedy: 'Check that the server is Redis 7.0 or newer, or Valkey 8 or newer, with Lua scripts.',
  },
  ERR_REDIS_UNREACHABLE: {
    kind: 'unavailable',
    meaning: 'Redis cannot be reached or does not answer in time.',
    remedy: 'Check `redis.nodes` (`JWTCTL_REDIS_NODES`), the network, and the `redis.tls` settings.',
  },
  ERR_REDIS_WRONG_TYPE: {
    kind: 'state',
    meaning:
      'A Redis key under the prefix of jwtctl belongs to another program, because its value has another type.',
    remedy: 'Find the program that uses the key, or choose another `redis.prefix` (`JWTCTL_REDIS_PREFIX`).',
  },
  ERR_REVOCATION_IN_FUTURE: {
    kind: 'state',
    meaning:
      'A revocation covers the tokens of this subject up to a time in the future, because the clock of a host is wrong.',
    remedy: 'Correct the clock of this host and of the host that revoked the tokens.',
  },
  ERR_SCHEMA_DAMAGED: {
    kind: 'state',
    meaning: 'The table `jwtctl_migration` lacks a migration, because another program changed it.',
    remedy: 'Restore the rows of `jwtctl_migration` from a backup.',
  },
  ERR_SCHEMA_MISMATCH: {
    kind: 'state',
    meaning: 'A table or a column that jwtctl needs is missing.',
    remedy:
      'Run `jwtctl db status`. For your own user table, check `users.table`, `users.column`, and `users.enabledWhere`.',
  },
  ERR_SCHEMA_NEWER: {
    kind: 'state',
    meaning: 'A newer version of jwtctl migrated the database.',
    remedy: 'Update jwtctl on this host.',
  },
  ERR_SCHEMA_OUTDATED: {
    kind: 'state',
    meaning: 'The database lacks migrations of this version of jwtctl.',
    remedy: 'Run `jwtctl db migrate`.',
  },
  ERR_TABLE_EXISTS: {
    kind: 'state',
    meaning: 'The database has a table with a name that jwtctl needs, but jwtctl did not create that table.',
    remedy:
      'Give jwtctl a database of its own. `users.table` can name a table in another database, for example `app.users`.',
  },
  ERR_TOO_MANY_HEARTBEATS: {
    kind: 'state',
    meaning: 'The Redis key with the heartbeats of the verifiers holds too much data to be read.',
    remedy: 'Find the client that writes to it, then delete the key. Verifiers report again by themselves.',
  },
  ERR_VERIFIER_GRACE_EXCEEDED: {
    kind: 'unavailable',
    meaning:
      "The database has not answered for longer than `verifier.grace`, so the verifier's keys and revocations are too old.",
    remedy: 'Restore access to MySQL, or raise `verifier.grace` (`JWTCTL_VERIFIER_GRACE`).',
  },
  ERR_VERIFIER_OVERLOADED: {
    kind: 'unavailable',
    meaning: 'Too many verifications are waiting for the database to return a key or a user.',
    remedy:
      'Try again in a moment. If the error persists, check whether the database is slow or clients send tokens with unknown keys.',
  },
} as const satisfies Record<string, ErrorEntry>;
